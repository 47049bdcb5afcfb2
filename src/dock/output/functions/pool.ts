import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../foundation/clock.ts";
import { AppError } from "../../../foundation/errors.ts";
import { randomText } from "../../../foundation/ids.ts";
import type { LoadMessage } from "../child/protocol.ts";
import { layOut } from "./bundle.ts";
import type { FunctionSpec } from "./function-config.ts";
import {
  type AnswerQuestion,
  end,
  type FunctionProcess,
  type Instance,
  kill,
  load,
  startOf,
  startProcess,
} from "./instance.ts";
import { type Reaper, startReaper } from "./reaper.ts";

export type PoolOptions = {
  /** The release's root, which `filePathMap` counts from. */
  readonly tree: string;
  readonly bundles: string;
  /** A short path: the sockets of the functions are in it. */
  readonly sockets: string;
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** For what functions ask of the release's cache. */
  readonly answer: AnswerQuestion;
  /** Processes at most. Default 24. */
  readonly limit?: number;
  /** How long a process without requests is kept. Default 5 minutes. */
  readonly idleMs?: number;
};

export type Role = "function" | "middleware";

/** The processes of a release's functions: one for each function that was asked for lately. */
export type FunctionPool = {
  /** A process that answers for this function, started when there is none. `release` it when the answer is over. */
  acquire(spec: FunctionSpec, role?: Role): Promise<Instance>;
  release(instance: Instance): void;
  /** Gets nothing new, and is killed once nothing else is under way in it. */
  retire(instance: Instance): void;
  /** Starts a process before it is known which function it will be. */
  prepare(specs: readonly FunctionSpec[]): void;
  close(graceMs: number): Promise<void>;
};

type Slot = { starting: Promise<Instance> | null; current: Instance | null };

const LIMIT = 24;
const IDLE_MS = 5 * 60_000;
const SWEEP_MS = 15_000;
const LOAD_DEADLINE_MS = 60_000;

export function createPool(options: PoolOptions): FunctionPool {
  return new Pool(options);
}

class Pool implements FunctionPool {
  readonly #options: PoolOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #processes = new Set<FunctionProcess>();
  readonly #reaper: Reaper;
  readonly #closed = new AbortController();
  #spare: FunctionProcess | null = null;
  #usual: FunctionSpec | null = null;

  constructor(options: PoolOptions) {
    this.#options = options;
    mkdirSync(options.sockets, { recursive: true, mode: 0o700 });
    this.#reaper = startReaper(options.env);
    void this.#sweep();
  }

  async acquire(spec: FunctionSpec, role: Role = "function"): Promise<Instance> {
    const slot = this.#slot(`${role} ${spec.directory}`);
    const instance =
      slot.current !== null && !slot.current.retired ? slot.current : await this.#start(slot, spec, role);
    instance.inFlight++;
    instance.lastUsedMs = this.#options.clock.monotonicMs();
    return instance;
  }

  release(instance: Instance): void {
    instance.inFlight--;
    instance.lastUsedMs = this.#options.clock.monotonicMs();
    if (instance.retired && instance.inFlight === 0) kill(instance.process);
  }

  retire(instance: Instance): void {
    instance.retired = true;
    if (instance.inFlight === 0) kill(instance.process);
  }

  prepare(specs: readonly FunctionSpec[]): void {
    const counts = new Map<string, number>();
    for (const spec of specs) {
      const { kind } = startOf(spec);
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
    const [usual] = [...counts].sort((a, b) => b[1] - a[1]);
    this.#usual = specs.find((spec) => startOf(spec).kind === usual?.[0]) ?? null;
    this.#refill();
  }

  async close(graceMs: number): Promise<void> {
    this.#closed.abort();
    const left = [...this.#processes];
    for (const process of left) end(process, graceMs);
    const done = new AbortController();
    const limit = this.#options.clock.sleep(graceMs, done.signal).catch(() => {});
    await Promise.race([Promise.all(left.map(({ exited }) => exited)), limit]);
    done.abort();
    for (const process of this.#processes) kill(process);
    this.#reaper.close();
  }

  #slot(key: string): Slot {
    const known = this.#slots.get(key);
    if (known) return known;
    const slot: Slot = { starting: null, current: null };
    this.#slots.set(key, slot);
    return slot;
  }

  #start(slot: Slot, spec: FunctionSpec, role: Role): Promise<Instance> {
    slot.starting ??= this.#startNow(slot, spec, role).finally(() => {
      slot.starting = null;
    });
    return slot.starting;
  }

  async #startNow(slot: Slot, spec: FunctionSpec, role: Role): Promise<Instance> {
    if (this.#closed.signal.aborted) throw new AppError("unavailable", "The release is being stopped.");
    await this.#makeRoom();
    const { tree, bundles, sockets, answer } = this.#options;
    const root = await layOut(spec, { tree, bundles });
    const process = this.#take(spec);
    const socket = join(sockets, `${randomText(10)}.sock`);
    process.exited.then(() => rmSync(socket, { force: true }));
    const deadline = AbortSignal.timeout(Math.max(LOAD_DEADLINE_MS, spec.maxDurationMs));
    const message = messageFor(spec, role, { root, socket });
    const instance = await load(process, message, { deadline, answer });
    slot.current = instance;
    process.exited.then(() => {
      instance.agent.destroy();
      if (slot.current === instance) slot.current = null;
    });
    return instance;
  }

  /** The spare one when it was started as this function needs it, else a new one. */
  #take(spec: FunctionSpec): FunctionProcess {
    const spare = this.#spare;
    if (spare === null || spare.kind !== startOf(spec).kind) return this.#spawn(spec);
    this.#spare = null;
    setImmediate(() => this.#refill());
    return spare;
  }

  #spawn(spec: FunctionSpec): FunctionProcess {
    const { env } = this.#options;
    const process = startProcess(spec, { env, reaper: this.#reaper });
    this.#processes.add(process);
    process.exited.then(() => {
      this.#processes.delete(process);
      if (this.#spare === process) this.#spare = null;
    });
    return process;
  }

  #refill(): void {
    if (this.#spare !== null || this.#usual === null || this.#closed.signal.aborted) return;
    if (this.#processes.size < this.#limit) this.#spare = this.#spawn(this.#usual);
  }

  get #limit(): number {
    return this.#options.limit ?? LIMIT;
  }

  /** Ends the one that was idle for longest. With all at work, one more is better than none. */
  async #makeRoom(): Promise<void> {
    if (this.#processes.size - (this.#spare === null ? 0 : 1) < this.#limit) return;
    const idle = this.#idle().sort((a, b) => a.lastUsedMs - b.lastUsedMs)[0];
    if (idle) {
      this.#end(idle);
      await idle.process.exited;
    } else if (this.#processes.size >= this.#limit * 2) {
      throw new AppError("unavailable", "Too many functions of this release are at work.");
    }
  }

  #idle(): Instance[] {
    const current = [...this.#slots.values()].flatMap(({ current }) => current ?? []);
    return current.filter((instance) => instance.inFlight === 0 && !instance.busy && !instance.retired);
  }

  async #sweep(): Promise<void> {
    const { clock, idleMs = IDLE_MS } = this.#options;
    while (!this.#closed.signal.aborted) {
      await clock.sleep(SWEEP_MS, this.#closed.signal).catch(() => {});
      const since = clock.monotonicMs() - idleMs;
      for (const instance of this.#idle()) if (instance.lastUsedMs < since) this.#end(instance);
    }
  }

  #end(instance: Instance): void {
    instance.retired = true;
    end(instance.process, 1_000);
  }
}

function messageFor(spec: FunctionSpec, role: Role, place: { root: string; socket: string }): LoadMessage {
  const middleware = role === "middleware";
  return {
    type: "load",
    ...place,
    kind: spec.kind,
    handler: spec.handler,
    environment: spec.environment,
    visible: spec.visible,
    assets: spec.assets,
    helpers: spec.helpers,
    lambda: spec.lambda,
    webApi: spec.webApi || middleware,
    cancellation: spec.cancellation,
    source: spec.kind === "node" ? "serverless" : middleware ? "edge-middleware" : "edge-function",
    name: `/${spec.name}`,
  };
}
