import { answerOf } from "../../src/checks/answer.ts";
import { nextAttemptAt } from "../../src/checks/confirm.ts";
import type { Attempt, Policy } from "../../src/checks/model.ts";
import type { Reaction } from "./accuracy-faults.ts";

type Begun = { readonly startedAt: number; readonly endsAt: number; readonly reaction: Reaction };

/** A round in virtual time, with the real rule of when to ask again. */
export function playRound(
  startedAt: number,
  policy: Policy,
  isDown: boolean,
  react: (at: number) => Reaction,
): { readonly attempts: Attempt[]; readonly endedAt: number } {
  const begun: Begun[] = [];
  const deadline = startedAt + policy.timeoutMs;
  for (let now = startedAt; ; ) {
    const ended = begun.filter(({ endsAt }) => endsAt <= now).sort((a, b) => a.endsAt - b.endsAt);
    const answers = ended.map(({ reaction }) => answerOf(reaction.outcome));
    const round = { startedAt, answers, running: begun.length - ended.length, isDown };
    const next = nextAttemptAt(round, policy, now);
    if (next === "done") return { attempts: begun.map((one) => attemptOf(one, now)), endedAt: now };
    const answer = Math.min(deadline, ...begun.map(({ endsAt }) => endsAt).filter((at) => at > now));
    if (next === null || Math.max(next, now) > answer) {
      now = answer;
      continue;
    }
    now = Math.max(next, now);
    const reaction = react(now);
    begun.push({ startedAt: now, endsAt: now + (reaction.afterMs ?? Number.POSITIVE_INFINITY), reaction });
  }
}

function attemptOf({ startedAt, endsAt, reaction }: Begun, now: number): Attempt {
  if (endsAt <= now) return { ...reaction.outcome, startedAt, latencyMs: endsAt - startedAt };
  const failure = { class: "timeout" as const, message: "no answer" };
  return { status: "down", failure, startedAt, latencyMs: now - startedAt };
}
