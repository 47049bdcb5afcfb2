import net from "node:net";
import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { errorCodeOf } from "../../foundation/errors.ts";
import type { Connected } from "./connect.ts";
import { connectionFailure, timedOut } from "./connection-failure.ts";
import { judgeContainer, judgeService } from "./docker/judge.ts";
import { askOver } from "./http/ask.ts";
import {
  askedFields,
  askJson,
  isJsonAnswer,
  type JsonAnswer,
  jsonOf,
  refusedBy,
  requestOf,
} from "./http/ask-json.ts";

const dockerSettings = z
  .strictObject({
    engine: z
      .string()
      .max(1_024)
      .refine(
        (text) =>
          /^unix:\/\/\/[^\0]+$/.test(text) || /^(tcp|http|https):$/.test(URL.parse(text)?.protocol ?? ""),
        {
          error: "is no address that begins with unix:///, tcp://, http:// or https://",
        },
      )
      .default("unix:///var/run/docker.sock"),
    /** Name or id. */
    container: z.string().min(1).max(255).optional(),
    /** Name or id of a service of a swarm; the engine must be one of its managers. */
    service: z.string().min(1).max(255).optional(),
    ca: askedFields.ca,
    insecure: askedFields.insecure,
  })
  .refine(({ container, service }) => (container === undefined) !== (service === undefined), {
    error: "names either a `container` or a `service`",
  });
type DockerSettings = z.output<typeof dockerSettings>;

/** What the Docker Engine says of a container, or of a service's replicas. Podman answers alike for containers. */
export const docker = defineProbe<DockerSettings>({
  type: "docker",
  settings: dockerSettings,
  local: true,
  subject: ({ engine, container, service }) => `${engine} ${container ?? service}`,
  host: ({ engine }) => (engine.startsWith("unix:") ? null : new URL(engine).hostname),
  run: async (settings, context) => {
    const { container, service } = settings;
    // Without a version: an engine speaks its newest then, and refuses those that it has outgrown.
    const path =
      container === undefined
        ? `/services?status=true&filters=${encodeURIComponent(JSON.stringify({ name: [service] }))}`
        : `/containers/${encodeURIComponent(container)}/json`;
    const answer = await ask(path, settings, context);
    if (!isJsonAnswer(answer)) return answer;
    const { phases } = answer;
    const failure = refusal(answer, settings);
    if (failure !== null) return { status: "down", failure, phases };
    if (container !== undefined) return { ...judgeContainer(container, answer.json), phases };
    return { ...judgeService(service ?? "", answer.json), phases };
  },
});

function refusal(answer: JsonAnswer, { container }: DockerSettings): Failure | null {
  const { httpStatus, where, json } = answer;
  if (httpStatus === 404 && container !== undefined)
    return { class: "missing", message: `${where} has no container ${container}.` };
  // Source: the errors of /services in docs.docker.com/reference/api/engine
  if (httpStatus === 503 && container === undefined)
    return { class: "unsupported", message: `${where} is no manager of a swarm, and knows no services.` };
  if (httpStatus !== 200) return refusedBy(answer);
  if (typeof json === "object" && json !== null) return null;
  return { class: "protocol", message: `${where} answers, and not as a Docker Engine does.` };
}

async function ask(
  path: string,
  settings: DockerSettings,
  context: ProbeContext,
): Promise<JsonAnswer | Outcome> {
  const { engine, ca, insecure } = settings;
  if (!engine.startsWith("unix://")) {
    const url = new URL(path, engine.replace(/^tcp:/, ca === undefined && !insecure ? "http:" : "https:"));
    return await askJson({ url, ca, insecure }, context);
  }
  const where = engine.slice("unix://".length);
  const startedMs = context.clock.monotonicMs();
  const socket = await open(where, context);
  if (!(socket instanceof net.Socket)) return { status: "down", failure: socket };
  const phases = { connectMs: context.clock.monotonicMs() - startedMs };
  const connected: Connected = { socket, address: where, phases, certificate: null };
  const asked = requestOf({ url: new URL(path, "http://docker") });
  return jsonOf(await askOver(connected, asked, { where, startedMs, context }), where);
}

function open(path: string, { signal, clock }: ProbeContext): Promise<net.Socket | Failure> {
  return new Promise((resolve) => {
    const startedMs = clock.monotonicMs();
    if (signal.aborted) return resolve(timedOut(path, 0, "no connection"));
    const socket = net.connect({ path });
    const fail = (failure: Failure) => {
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      resolve(failure);
    };
    const onAbort = () => fail(timedOut(path, clock.monotonicMs() - startedMs, "no connection"));
    const onError = (error: Error) => fail(unopened(path, error));
    signal.addEventListener("abort", onAbort, { once: true });
    socket.on("error", onError);
    socket.once("connect", () => {
      signal.removeEventListener("abort", onAbort);
      socket.off("error", onError);
      resolve(socket);
    });
  });
}

function unopened(path: string, error: Error): Failure {
  const code = errorCodeOf(error);
  if (code === "ENOENT") return { class: "refused", message: `${path}: there is no such socket (ENOENT).` };
  if (code === "EACCES" || code === "EPERM")
    return { class: "unsupported", message: `${path}: the prober may not open this socket (${code}).` };
  return connectionFailure(error, path, "connect");
}
