/** One server-sent event. `id` is the last id that the stream has named so far, as the standard has it. */
export type ServerSentEvent = { readonly event: string; readonly data: string; readonly id: string };

/**
 * A parser of `text/event-stream` (WHATWG HTML, 9.2.6) that takes the text in pieces cut anywhere, even inside
 * a line's end, and returns the events that each piece completes.
 */
export function createEventParser(): (piece: string) => ServerSentEvent[] {
  let rest = "";
  let first = true;
  let afterCarriageReturn = false;
  let data: string[] = [];
  let event = "";
  let id = "";
  const takeLine = (line: string): ServerSentEvent | null => {
    if (line === "") {
      const complete = data.length === 0 ? null : { event: event || "message", data: data.join("\n"), id };
      data = [];
      event = "";
      return complete;
    }
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    if (field === "event") event = value;
    if (field === "id" && !value.includes("\0")) id = value;
    return null;
  };
  return (piece) => {
    let text = piece;
    if (first && text !== "") {
      first = false;
      text = text.replace(/^\uFEFF/, "");
    }
    // The second half of a CR LF that was cut in two is not another line's end.
    if (afterCarriageReturn && text.startsWith("\n")) text = text.slice(1);
    if (piece !== "") afterCarriageReturn = piece.endsWith("\r");
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop() ?? "";
    return lines.map(takeLine).filter((complete) => complete !== null);
  };
}
