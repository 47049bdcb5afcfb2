import { headersParser } from "../foundation/http1/answer-headers.ts";

/** What is passed on of an answer's head. An app must not be able to pass for another release: that name is ours. */
export const parseAnswerHeaders = headersParser(["x-signalbox-deployment"]);

/** The same for headers that node has parsed: name and value alternating. */
export function passedHeaders(raw: readonly string[]): string[] {
  let text = "";
  for (let i = 0; i < raw.length; i += 2) text += `${raw[i]}: ${raw[i + 1]}\r\n`;
  return parseAnswerHeaders(text.slice(0, -2), 0).headers;
}
