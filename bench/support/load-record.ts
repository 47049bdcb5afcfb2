import type { Answer, Closing, Failure, Take } from "./load-messages.ts";

/** Where visitors and channels write down what happened, until somebody takes it. */
export class LoadRecord {
  openChannels = 0;
  #answers: Answer[] = [];
  #failures: Failure[] = [];
  #closings: Closing[] = [];
  #messages = 0;

  answer(answer: Answer): void {
    this.#answers.push(answer);
  }

  failure(failure: Failure): void {
    this.#failures.push(failure);
  }

  closing(closing: Closing): void {
    this.#closings.push(closing);
  }

  message(): void {
    this.#messages += 1;
  }

  /** Everything since the last time. */
  take(): Take {
    const take = {
      answers: this.#answers,
      failures: this.#failures,
      closings: this.#closings,
      messages: this.#messages,
      openChannels: this.openChannels,
    };
    this.#answers = [];
    this.#failures = [];
    this.#closings = [];
    this.#messages = 0;
    return take;
  }
}
