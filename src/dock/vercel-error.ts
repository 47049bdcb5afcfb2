import { AppError, type AppErrorOptions, type ErrorCode } from "../foundation/errors.ts";

/** An error whose code in the body is Vercel's own: clients look for the word, not for the status. */
export class VercelError extends AppError {
  readonly vercelCode: string;
  /** More fields of the body's `error`. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    vercelCode: string,
    message: string,
    options: AppErrorOptions & { fields?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(code, message, options);
    this.vercelCode = vercelCode;
    this.fields = options.fields ?? {};
  }
}
