import type { Browserbase, ClientOptions } from "@browserbasehq/sdk";
import { z } from "zod";
import type { Failure, Outcome, Phases } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { askedFields, askJson, isJsonAnswer, refusedBy } from "./http/ask-json.ts";
import { address, headerValue } from "./http/settings.ts";

const browserbaseSettings = z.strictObject({
  apiKey: headerValue.min(1),
  /** Absent: the only one that the key is good for. */
  projectId: z.string().min(1).max(200).optional(),
  /** Sessions of other regions do not count for the share of errors. */
  region: z.string().min(1).max(100).optional(),
  url: address("http:", "https:").default("https://api.browserbase.com"),
  ca: askedFields.ca,
  /** Share of the project's concurrency from which it is degraded. */
  runningWarn: z.number().positive().max(1).default(0.9),
  /** How many of the last sessions that ended are looked at. 0: none. */
  sessions: z.int().min(0).max(1_000).default(20),
  /** Share of errors among them from which it is degraded; at least five must have ended. */
  errorWarn: z.number().positive().max(1).default(0.5),
});
type BrowserbaseSettings = z.output<typeof browserbaseSettings>;

/** That the API takes the key, that a session more could be opened, and that sessions do not end in errors. */
export const browserbase = defineProbe<BrowserbaseSettings>({
  type: "browserbase",
  settings: browserbaseSettings,
  subject: ({ url, projectId }) => `${new URL(url).origin}${projectId === undefined ? "" : ` ${projectId}`}`,
  host: ({ url }) => new URL(url).hostname,
  run: async (settings, context) => {
    const line = new Line(settings, context);
    try {
      const client = await line.client();
      // Side by side: each is a connection of its own, and the slowest decides how long it takes.
      const [project, running, recent] = await Promise.all([
        findProject(client, settings),
        client.sessions.list({ status: "RUNNING" }),
        settings.sessions === 0 ? [] : client.sessions.list(),
      ]);
      const isOurs = ({ projectId }: Session) => projectId === project.id;
      const found = judge(project, running.filter(isOurs).length, recent.filter(isOurs), settings);
      return { ...found, phases: line.phases };
    } catch (error) {
      if (error instanceof Unusable) return line.down(error.failure);
      return line.failed ?? (await line.explain(error));
    } finally {
      line.close();
    }
  },
});

type Session = Browserbase.SessionListResponse[number];

/** An answer of the API, or what it holds, that ends the look. */
class Unusable extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

async function findProject(
  client: Browserbase,
  { projectId }: BrowserbaseSettings,
): Promise<Browserbase.Project> {
  if (projectId !== undefined) return await client.projects.retrieve(encodeURIComponent(projectId));
  const all = await client.projects.list();
  const [first] = all;
  if (all.length === 1 && first !== undefined) return first;
  const message = `The key is good for ${all.length} projects, not for one: say which with \`projectId\`.`;
  throw new Unusable({ class: "unsupported", message });
}

/** Below this many a share says nothing. */
const ENOUGH_SESSIONS = 5;

function judge(
  { concurrency }: Browserbase.Project,
  running: number,
  recent: readonly Session[],
  settings: BrowserbaseSettings,
): Outcome {
  if (!Number.isInteger(concurrency) || concurrency < 0)
    throw new Unusable({ class: "protocol", message: "The project that is answered has no concurrency." });
  const ended = recent
    .filter(({ region }) => settings.region === undefined || region === settings.region)
    .filter(({ status }) => status === "COMPLETED" || status === "ERROR" || status === "TIMED_OUT")
    .sort((one, other) => Date.parse(other.createdAt) - Date.parse(one.createdAt))
    .slice(0, settings.sessions);
  const errors = ended.filter(({ status }) => status === "ERROR").length;
  const observed = {
    runningSessions: running,
    concurrency,
    endedSessions: ended.length,
    errorSessions: errors,
    timedOutSessions: ended.filter(({ status }) => status === "TIMED_OUT").length,
  };
  const degraded = (failure: Failure): Outcome => ({ status: "degraded", failure, observed });
  const share = `${running} of ${concurrency} sessions are running`;
  if (running >= concurrency)
    return degraded({ class: "overloaded", message: `${share}: no other can be opened.` });
  if (running >= concurrency * settings.runningWarn)
    return degraded({ class: "overloaded", message: `${share}, ${settings.runningWarn * 100} % or more.` });
  if (ended.length >= ENOUGH_SESSIONS && errors >= ended.length * settings.errorWarn)
    return degraded({
      class: "status",
      message: `${errors} of the last ${ended.length} sessions ended in an error.`,
    });
  return { status: "up", observed };
}

/** The official client, over connections that are ours: guarded, fresh, ended by the attempt's signal. */
class Line {
  private readonly settings: BrowserbaseSettings;
  private readonly context: ProbeContext;
  private readonly closing = new AbortController();
  /** Of the slowest request so far. */
  phases: Phases = {};
  /** The first request that got no whole answer. */
  failed: Outcome | null = null;

  constructor(settings: BrowserbaseSettings, context: ProbeContext) {
    this.settings = settings;
    const signal = AbortSignal.any([context.signal, this.closing.signal]);
    this.context = { ...context, signal };
  }

  /** Ends what nobody waits for any more: the first failure is the answer. */
  close(): void {
    this.closing.abort();
  }

  async client(): Promise<Browserbase> {
    const sdk = await import("@browserbasehq/sdk");
    const { apiKey, url } = this.settings;
    const timeout = this.context.timeoutMs;
    // Its types are those of node-fetch; it reads of an answer what node's own has as well.
    const fetch = this.fetch as unknown as NonNullable<ClientOptions["fetch"]>;
    return new sdk.Browserbase({ apiKey, baseURL: url, maxRetries: 0, timeout, fetch });
  }

  private fetch = async (url: unknown, init: RequestInit = {}): Promise<Response> => {
    const headers = init.headers as Record<string, string>;
    const asked = { url: new URL(String(url)), headers, ca: this.settings.ca, maxBytes: 16 * 1_048_576 };
    const answer = await askJson(asked, this.context);
    if (isJsonAnswer(answer)) {
      this.phases = slower(this.phases, answer.phases);
      if (answer.httpStatus === 200 && answer.json === undefined) {
        const message = `${answer.where} answered with something that is no JSON.`;
        throw this.fail(this.down({ class: "protocol", message }));
      }
      const status = answer.httpStatus;
      return new Response(status === 204 || status === 304 ? null : answer.text, {
        status,
        headers: { "content-type": "application/json" },
      });
    }
    throw this.fail(answer);
  };

  private fail(outcome: Outcome): Error {
    this.failed ??= outcome;
    return new Error("no whole answer");
  }

  down(failure: Failure): Outcome {
    return { status: "down", failure, phases: this.phases };
  }

  /** What the client threw: a status that is no success, or an answer of a shape that it does not have. */
  async explain(error: unknown): Promise<Outcome> {
    const { APIError } = await import("@browserbasehq/sdk");
    const where = new URL(this.settings.url).host;
    const httpStatus = error instanceof APIError ? error.status : undefined;
    if (httpStatus === undefined)
      return this.down({
        class: "protocol",
        message: `${where} answers, and not as Browserbase's API does.`,
      });
    if (httpStatus !== 404) return this.down(refusedBy({ where, httpStatus }));
    const project = this.settings.projectId ?? "";
    return this.down({ class: "missing", message: `${where} knows no project ${project} for this key.` });
  }
}

function slower(one: Phases, other: Phases): Phases {
  const total = ({ dnsMs = 0, connectMs = 0, tlsMs = 0, firstByteMs = 0, transferMs = 0 }: Phases) =>
    dnsMs + connectMs + tlsMs + firstByteMs + transferMs;
  return total(other) > total(one) ? other : one;
}
