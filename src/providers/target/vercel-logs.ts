import type { TargetLogLine } from "../../targets/target.ts";
import { EventLine } from "./vercel-answers.ts";
import type { VercelClient } from "./vercel-client.ts";
import { failureOf } from "./vercel-failures.ts";

/** A line longer than this is cut, so that a build which prints no newline cannot fill our memory. */
const MAX_LINE_CHARS = 1_048_576;

/** The build's log from its beginning, until the platform closes the stream. */
export async function* readLogs(
  client: VercelClient,
  targetDeploymentId: string,
  signal: AbortSignal,
): AsyncGenerator<TargetLogLine> {
  // Not through the SDK: it reads an event stream to its end before it answers.
  const response = await client.stream(
    {
      path: `/v3/deployments/${encodeURIComponent(targetDeploymentId)}/events`,
      query: { follow: "1", direction: "forward", limit: "-1", builds: "1" },
    },
    signal,
  );
  try {
    for await (const line of linesOf(response)) {
      const event = parseEvent(line);
      if (event !== null) yield event;
    }
  } catch (error) {
    throw failureOf(error, signal, [client.options.token]);
  }
}

async function* linesOf(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body ?? []) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE_CHARS) rest = rest.slice(0, MAX_LINE_CHARS);
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** Null for blank keep-alive lines, and for events that are not output of the build. */
function parseEvent(line: string): TargetLogLine | null {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return null;
  }
  const event = EventLine.safeParse(json);
  if (!event.success) return null;
  const { type, payload, date, created } = event.data;
  const text = event.data.text ?? payload?.text;
  if ((type !== "stdout" && type !== "stderr" && type !== "command") || typeof text !== "string") return null;
  return { at: new Date(date ?? payload?.date ?? created ?? 0), stream: type, text };
}
