import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { failuresOf } from "./judge.ts";
import type { Answer, Closing, Failure, FromWorker, LoadOptions, Take, ToWorker } from "./load-messages.ts";

/** Continuous load from a thread of its own, and everything that it has seen so far. */
export class Load {
  readonly answers: Answer[] = [];
  readonly #failures: Failure[] = [];
  readonly closings: Closing[] = [];
  messages = 0;
  openChannels = 0;
  readonly #worker: Worker;
  #lastCall: Promise<unknown> = Promise.resolve();

  constructor(options: LoadOptions) {
    this.#worker = new Worker(new URL("./load-worker.ts", import.meta.url), { workerData: options });
    this.#worker.on("error", (error) =>
      this.#failures.push({ at: 0, what: `The load itself broke: ${error.message}` }),
    );
  }

  /** Fetches what happened since the last time; the answers are returned, and kept like the rest. */
  take(): Promise<readonly Answer[]> {
    return this.#ask("take");
  }

  /** Lets everyone finish the request they are at, closes the channels, and keeps the rest of the record. */
  async stop(): Promise<void> {
    await this.#ask("stop");
  }

  /** HTTP requests made so far, answered or not. */
  get requests(): number {
    return this.answers.length + this.#failures.length;
  }

  /** Every request that failed and every channel that was cut, as one sentence each. */
  failures(): string[] {
    return failuresOf({ answers: this.answers, failures: this.#failures, closings: this.closings });
  }

  /** Resolves once `count` channels are open and the visitors have answers. */
  async warm(count: number): Promise<void> {
    while (this.openChannels < count || this.answers.length < 50) {
      await this.take();
      if (this.#failures.length > 100)
        throw new Error(`The load meets only failures: ${this.#failures[0]?.what}`);
      await sleep(50);
    }
  }

  // One question at a time: the worker's answers carry no number.
  #ask(type: ToWorker["type"]): Promise<readonly Answer[]> {
    const answered = this.#lastCall.then(async () => {
      this.#worker.postMessage({ type });
      const [message]: FromWorker[] = await once(this.#worker, "message");
      return message ? this.#keep(message.take) : [];
    });
    this.#lastCall = answered.catch(() => undefined);
    return answered;
  }

  #keep(take: Take): readonly Answer[] {
    for (const answer of take.answers) this.answers.push(answer);
    this.#failures.push(...take.failures);
    this.closings.push(...take.closings);
    this.messages += take.messages;
    this.openChannels = take.openChannels;
    return take.answers;
  }
}
