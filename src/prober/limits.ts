/** Attempts that run at the same time. Confirming ones count, and are not held back: their round has begun. */
export type LimitOptions = {
  /** Default 1,000. */
  readonly running: number;
  /** Default 10. */
  readonly perHost: number;
};

export const DEFAULT_LIMITS: LimitOptions = { running: 1_000, perHost: 10 };

export class Limits {
  readonly #options: LimitOptions;
  readonly #byHost = new Map<string, number>();
  #running = 0;

  constructor(options: LimitOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  get full(): boolean {
    return this.#running >= this.#options.running;
  }

  /** How many more the host may be asked at the same time. */
  room(host: string | null): number {
    return host === null ? this.#options.running : this.#options.perHost - (this.#byHost.get(host) ?? 0);
  }

  take(host: string | null): void {
    this.#running++;
    if (host !== null) this.#byHost.set(host, (this.#byHost.get(host) ?? 0) + 1);
  }

  give(host: string | null): void {
    this.#running--;
    if (host === null) return;
    const left = (this.#byHost.get(host) ?? 1) - 1;
    if (left > 0) this.#byHost.set(host, left);
    else this.#byHost.delete(host);
  }
}
