import type { CacheAnswer, CacheQuestion } from "./protocol.ts";

/**
 * The way from a function to the release's cache: over the process's own channel to the output server, which nobody
 * from outside can reach.
 */
const waiting = new Map<number, (answer: CacheAnswer) => void>();
let send: (id: number, question: CacheQuestion) => void = () => {};
let last = 0;

export function connectCache(sender: (id: number, question: CacheQuestion) => void): void {
  send = sender;
}

export function ask(question: CacheQuestion): Promise<CacheAnswer> {
  const id = ++last;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    send(id, question);
  });
}

export function told(id: number, answer: CacheAnswer): void {
  waiting.get(id)?.(answer);
  waiting.delete(id);
}
