import { request } from "undici";
import { type AgentCheck, AT_HOME, type ProberReport, type Round } from "../checks/index.ts";
import type { Clock } from "../foundation/clock.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import type { LoadedCheck } from "./ports.ts";

/** The control plane, as an agent meets it: what it is to do, and where what it found goes. */
export type ControlPlane = {
  /** @throws AppError `unauthorized`: the token is not good (any more); `unavailable`: no answer. */
  work(): Promise<{ readonly location: string; readonly checks: readonly LoadedCheck[] }>;
  push(rounds: readonly Round[], report: ProberReport): Promise<void>;
};

const TIMEOUT_MS = 15_000;

/**
 * @param address of the control plane and the agent's token: the operator's, so the guard does not apply.
 * @param allowNetworks what may be reached from here beside the public internet: this machine's operator says so, and
 * not the control plane.
 */
export function connectControlPlane(
  deps: { readonly clock: Clock; readonly log: Log },
  address: { readonly url: string; readonly token: string },
  allowNetworks: readonly string[],
): ControlPlane {
  const network = { allowNetworks };
  let known: { etag: string; work: Awaited<ReturnType<ControlPlane["work"]>> } | null = null;

  async function send(method: "GET" | "POST", path: string, more: Parameters<typeof request>[1] = {}) {
    const url = `${address.url.replace(/\/+$/, "")}/api/agent${path}`;
    const headers = { authorization: `Bearer ${address.token}`, ...(more?.headers as object) };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    try {
      const answer = await request(url, { ...more, method, headers, signal });
      return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
    } catch (error) {
      throw new AppError("unavailable", `The control plane gave no answer: ${messageOf(error)}.`, {
        hint: "Check SIGNALBOX_URL, and that it can be reached from here.",
        cause: error,
      });
    }
  }

  return {
    async work() {
      const headers = known === null ? {} : { "if-none-match": known.etag };
      const answer = await send("GET", "/work", { headers });
      if (answer.status === 304 && known !== null) return known.work;
      if (answer.status !== 200) throw refusal(answer.status, answer.text);
      const { location, checks } = JSON.parse(answer.text) as { location: string; checks: AgentCheck[] };
      const source = "api" as const;
      // Whoever has the control plane must not have programs run here by it.
      const ours = checks.filter(({ type }) => !AT_HOME.includes(type));
      const work = { location, checks: ours.map((check) => ({ ...check, source, shard: 0, network })) };
      known = { etag: String(answer.headers.etag), work };
      return work;
    },
    async push(rounds, report) {
      const body = { sentAt: deps.clock.now().getTime(), report, rounds: rounds.map(toPush) };
      const headers = { "content-type": "application/json" };
      const answer = await send("POST", "/results", { headers, body: JSON.stringify(body) });
      if (answer.status === 200) return;
      const error = refusal(answer.status, answer.text);
      // What it does not understand it will never understand; to offer it for ever would keep all else from it.
      if (answer.status !== 400 && answer.status !== 413) throw error;
      deps.log.error(
        { rounds: rounds.length, reason: error.message },
        "rounds were refused; they are dropped",
      );
    },
  };
}

/** In the shape that a push has. */
function toPush({ location: _ours, ...round }: Round) {
  const attempts = round.attempts.map((attempt) => ({
    ...attempt,
    startedAt: Math.round(attempt.startedAt),
  }));
  return { ...round, scheduledAt: Math.round(round.scheduledAt), attempts };
}

function refusal(status: number, text: string): AppError {
  const code = status === 401 ? "unauthorized" : "upstream";
  const said = /"message":"([^"]{1,300})/.exec(text)?.[1] ?? text.slice(0, 200);
  return new AppError(code, `The control plane answered ${status}: ${said}`, {
    hint:
      status === 401
        ? "Check SIGNALBOX_PROBER_TOKEN; an owner makes a new one: signalbox prober add LOCATION."
        : "It is offered again.",
  });
}
