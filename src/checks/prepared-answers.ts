import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Answer } from "../health/index.ts";

/** Answers that are kept; those who ask make up the questions. */
const MOST_KEPT = 2_000;
/** So many of them are made anew before anybody asks again. */
const MOST_REMADE = 8;
/** What fits into one packet does not get there sooner by being smaller. */
const WORTH_BYTES = 1_400;
/** The quickest: a level more makes names and times hardly smaller. */
const LEVEL = 1;

type Kept = {
  readonly make: () => Answer | null;
  readonly plain: Answer;
  /** A promise while it is made. Null: nobody has wanted it. */
  zipped: Answer | Promise<Answer> | null;
  asked: boolean;
};

export type PreparedAnswers = {
  /** What is kept for `key`, else what `make` makes. Null: it makes nothing. */
  answer(key: string, acceptEncoding: string | undefined, make: () => Answer | null): Answer | null;
  /**
   * What was asked for since the last time is made anew, compressed where somebody wanted it so, and takes the place
   * of the old answer when it is complete. Everything else is forgotten.
   */
  refresh(): Promise<void>;
};

/** Answers that are made once for all who ask. Compression is done beside the event loop, and nobody waits for it. */
export function prepareAnswers(): PreparedAnswers {
  const kept = new Map<string, Kept>();
  return {
    answer(key, acceptEncoding, make) {
      const found = kept.get(key) ?? keep(make);
      if (found === null) return null;
      if (!found.asked && kept.size < MOST_KEPT) kept.set(key, found);
      found.asked = true;
      if (found.plain.body.length < WORTH_BYTES || !acceptsGzip(acceptEncoding)) return found.plain;
      if (found.zipped === null) void zip(found);
      return found.zipped instanceof Promise ? found.plain : found.zipped;
    },
    async refresh() {
      const asked = [...kept].filter(([, { asked }]) => asked).slice(0, MOST_REMADE);
      const again = new Map(asked);
      for (const key of kept.keys()) if (!again.has(key)) kept.delete(key);
      for (const [key, old] of again) {
        const next = keep(old.make);
        if (next !== null && old.zipped !== null) await zip(next);
        if (next === null) kept.delete(key);
        else kept.set(key, next);
      }
    },
  };
}

function keep(make: Kept["make"]): Kept | null {
  const plain = make();
  return plain && { make, plain: withVary(plain), zipped: null, asked: false };
}

const deflate = promisify(gzip);

async function zip(kept: Kept): Promise<void> {
  const { plain } = kept;
  kept.zipped = deflate(plain.body, { level: LEVEL }).then((body) => ({
    status: plain.status,
    headers: [...replaced(plain.headers, "content-length", String(body.length)), "content-encoding", "gzip"],
    body,
  }));
  kept.zipped = await kept.zipped;
}

function withVary(answer: Answer): Answer {
  return { ...answer, headers: replaced(answer.headers, "vary", "accept, accept-encoding, authorization") };
}

/** `headers` are names and values in turn. */
function replaced(headers: readonly string[], name: string, value: string): readonly string[] {
  return headers.map((each, at) => (at % 2 === 1 && headers[at - 1] === name ? value : each));
}

/** Source: RFC 9110, 12.5.3. A weight of 0 is a refusal; `*` alone is what clients say that cannot read it. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  if (acceptEncoding === undefined) return false;
  return acceptEncoding.split(",").some((each) => {
    const [coding = "", ...parameters] = each.split(";").map((part) => part.trim().toLowerCase());
    return coding === "gzip" && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}
