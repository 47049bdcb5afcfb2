import { z } from "zod";

// Source: vercel.com/docs/build-output-api/primitives, and what the official CLI writes.
const Config = z.object({
  runtime: z.string(),
  handler: z.string().optional(),
  entrypoint: z.string().optional(),
  memory: z.number().positive().optional(),
  maxDuration: z.union([z.number().positive(), z.literal("max")]).optional(),
  environment: z.record(z.string(), z.string()).nullish(),
  envVarsInUse: z.array(z.string()).nullish(),
  assets: z.array(z.object({ name: z.string(), path: z.string() })).nullish(),
  shouldAddHelpers: z.boolean().nullish(),
  useWebApi: z.boolean().nullish(),
  awsLambdaHandler: z.string().nullish(),
  supportsCancellation: z.boolean().nullish(),
  filePathMap: z.record(z.string(), z.string()).nullish(),
});

/** A function of a release, as its `.vc-config.json` describes it. */
export type FunctionSpec = {
  /** Its path below `functions/`, without `.func`: `api/hello`. */
  readonly name: string;
  /** Absolute and without links: two names of one directory are one function. */
  readonly directory: string;
  readonly kind: "node" | "edge";
  readonly handler: string;
  readonly memoryMb: number;
  readonly maxDurationMs: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly visible: readonly string[] | null;
  readonly assets: readonly { readonly name: string; readonly path: string }[];
  readonly helpers: boolean;
  readonly webApi: boolean;
  /** The export that is called as AWS Lambda calls one; null: none is. */
  readonly lambda: string | null;
  readonly cancellation: boolean;
  /** Files of the bundle that are elsewhere: path in the bundle → path below the release's root. */
  readonly filePathMap: Readonly<Record<string, string>>;
};

// Vercel's defaults with fluid compute: 2 GB and 300 s. https://vercel.com/docs/functions/limitations
const MEMORY_MB = 2048;
const MAX_DURATION_S = 300;
// Pro's highest; `"max"` asks for it.
const LONGEST_DURATION_S = 800;

/** @returns the function, or one sentence why it cannot be run here. */
export function parseFunctionConfig(
  text: string,
  place: { name: string; directory: string },
): FunctionSpec | string {
  const parsed = Config.safeParse(parseJson(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `.vc-config.json of ${place.name} is not valid: ${issue?.path.join(".")} ${issue?.message}`;
  }
  const config = parsed.data;
  const kind = config.runtime === "edge" ? "edge" : /^nodejs\d/.test(config.runtime) ? "node" : null;
  if (kind === null) return `${place.name} needs the runtime ${config.runtime}; here run nodejs and edge`;
  const handler = kind === "edge" ? config.entrypoint : config.handler;
  if (!handler)
    return `.vc-config.json of ${place.name} names no ${kind === "edge" ? "entrypoint" : "handler"}`;
  return {
    ...place,
    kind,
    handler,
    memoryMb: config.memory ?? MEMORY_MB,
    maxDurationMs: secondsOf(config.maxDuration) * 1000,
    environment: config.environment ?? {},
    visible: kind === "edge" ? (config.envVarsInUse ?? null) : null,
    assets: config.assets ?? [],
    helpers: config.shouldAddHelpers ?? false,
    webApi: config.useWebApi ?? false,
    // `api/hello.handler`: the file is the handler's already.
    lambda: config.awsLambdaHandler?.split(".").at(-1) || null,
    cancellation: config.supportsCancellation ?? false,
    filePathMap: config.filePathMap ?? {},
  };
}

function secondsOf(duration: number | "max" | undefined): number {
  if (duration === "max") return LONGEST_DURATION_S;
  return Math.min(duration ?? MAX_DURATION_S, LONGEST_DURATION_S);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
