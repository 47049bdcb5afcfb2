import type { Failure, Outcome, Phases } from "../../checks/model.ts";
import { defineProbe, type NetworkPolicy, type ProbeContext } from "../../checks/probe-kind.ts";
import type { Asked } from "../../foundation/http1/exchange.ts";
import { hostAndPort, type Target } from "./connect.ts";
import { type Answer, askOnce, isAnswer } from "./http/ask.ts";
import { type Expectations, headerOf, prepareExpectations, unmet } from "./http/expectations.ts";
import { type Hop, headOf, redirected } from "./http/hop.ts";
import { type HttpSettings, httpSettings } from "./http/settings.ts";
import { daysLeft, expiresSoon } from "./peer-certificate.ts";

/**
 * An answer by HTTP/1.1, on a connection of its own, as a new visitor gets it. Not by node's client or undici: a
 * thousand checks a second are to cost a core half of its time, and these cost more for what is not used here.
 */
export const http = defineProbe<HttpSettings>({
  type: "http",
  settings: httpSettings,
  // Queries hold tokens now and then.
  subject: ({ url }) => url.replace(/[?#].*$/s, ""),
  host: ({ url }) => new URL(url).hostname,
  run: async (settings, context) => {
    const plan = planOf(settings);
    let step: Request = plan.first;
    const seen = new Set<string>();
    let before = NO_PHASES;
    for (let redirects = 0; ; redirects++) {
      const answer = await request(step, context);
      if (!isAnswer(answer)) return { ...answer, phases: sum(before, answer.phases) };
      before = sum(before, answer.phases);
      const next =
        settings.follow === 0 ? null : redirected(step.hop, answer.head.status, locationOf(answer));
      if (next === null) return verdict(answer, step, { plan, context, redirects, phases: before });
      const hop = "class" in next ? next : within(next, seen.add(keyOf(step.hop)), settings.follow);
      if ("class" in hop) return down(hop, before, { status: answer.head.status, redirects });
      step = toRequest(hop, plan);
    }
  },
});

type Request = { readonly hop: Hop; readonly target: Target; readonly asked: Asked; readonly isOwn: boolean };

/** What is the same in every round of a check. */
type Plan = {
  readonly settings: HttpSettings;
  readonly expected: Expectations;
  readonly origin: string;
  readonly first: Request;
};

const PLANS = new WeakMap<HttpSettings, Plan>();

function planOf(settings: HttpSettings): Plan {
  const known = PLANS.get(settings);
  if (known !== undefined) return known;
  const url = new URL(settings.url);
  const body = settings.body === undefined ? null : Buffer.from(settings.body);
  const base = { settings, expected: prepareExpectations(settings), origin: url.origin };
  const first = toRequest({ url, method: settings.method, headers: settings.headers, body }, base);
  const plan = { ...base, first };
  PLANS.set(settings, plan);
  return plan;
}

function toRequest(hop: Hop, { settings, expected, origin }: Omit<Plan, "first">): Request {
  const { url, method, body } = hop;
  const { ca, insecure, maxBytes } = settings;
  const isSecure = url.protocol === "https:";
  return {
    hop,
    target: {
      host: url.hostname,
      port: Number(url.port || (isSecure ? 443 : 80)),
      tls: isSecure ? { ca, insecure, alpn: ["http/1.1"] } : null,
    },
    asked: { method, head: headOf(hop), body, maxBytes, keepBody: expected.needsBody },
    isOwn: url.origin === origin,
  };
}

/** An address of ours may redirect to one that is not; that one is guarded like any other. */
const PUBLIC_ONLY: NetworkPolicy = { allowNetworks: [] };

function request({ target, asked, isOwn }: Request, context: ProbeContext): Promise<Answer | Outcome> {
  const network = context.network ?? (isOwn ? null : PUBLIC_ONLY);
  return askOnce(target, asked, network === context.network ? context : { ...context, network });
}

function verdict(
  answer: Answer,
  { target }: Request,
  {
    plan,
    context,
    redirects,
    phases,
  }: { plan: Plan; context: ProbeContext; redirects: number; phases: Phases },
): Outcome {
  const { certificate, head, body } = answer;
  const { certificateDays, insecure } = plan.settings;
  const now = certificate === null ? null : context.clock.now();
  const observed = {
    status: head.status,
    bytes: answer.bytes,
    address: answer.address,
    ...(redirects === 0 ? {} : { redirects }),
    ...(certificate === null || now === null ? {} : { certificateDaysLeft: daysLeft(certificate, now) }),
  };
  const failure = unmet(
    plan.expected,
    { status: head.status, headers: head.headers, body },
    hostAndPort(target),
  );
  if (failure !== null) return down(failure, phases, observed);
  const warns = certificate !== null && now !== null && certificateDays > 0 && !insecure;
  const soon = warns ? expiresSoon(certificate, certificateDays, now) : null;
  if (soon !== null) return { status: "degraded", failure: soon, phases, observed };
  return { status: "up", phases, observed };
}

/** The next hop, unless it was made before or there were too many. */
function within(next: Hop, seen: ReadonlySet<string>, follow: number): Hop | Failure {
  if (seen.has(keyOf(next)))
    return {
      class: "redirects",
      message: `The redirects go in a circle: ${next.url.host} was asked the same before.`,
    };
  if (seen.size <= follow) return next;
  return { class: "redirects", message: `There are more redirects than the ${follow} that are followed.` };
}

function keyOf({ method, url }: Hop): string {
  return `${method} ${url.origin}${url.pathname}${url.search}`;
}

function locationOf({ head }: Answer): string | null {
  return headerOf(head.headers, "location");
}

function down(failure: Failure, phases: Phases, observed: NonNullable<Outcome["observed"]>): Outcome {
  return { status: "down", failure, phases, observed };
}

const NO_PHASES: Phases = {};

function sum(one: Phases, other: Phases | undefined): Phases {
  if (one === NO_PHASES && other !== undefined) return other;
  const total: { -readonly [K in keyof Phases]: number } = { ...one };
  for (const [phase, ms] of Object.entries(other ?? {}) as [keyof Phases, number][])
    total[phase] = (total[phase] ?? 0) + ms;
  return total;
}
