/**
 * A response of one JSON text a line, for as long as `lines` has some. Its signal aborts when the reader goes away.
 * @param gone aborts when the connection ends.
 */
export async function jsonLines(
  gone: AbortSignal,
  open: (signal: AbortSignal) => AsyncGenerator<object> | Promise<AsyncGenerator<object>>,
): Promise<Response> {
  const ended = new AbortController();
  const lines = await open(AbortSignal.any([gone, ended.signal]));
  const encoder = new TextEncoder();
  const body = new ReadableStream({
    async pull(controller) {
      try {
        const { value, done } = await lines.next();
        if (done) return controller.close();
        controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
      } catch (error) {
        controller.error(error);
      }
    },
    async cancel() {
      ended.abort(new Error("the reader went away"));
      await lines.return(undefined);
    },
  });
  return new Response(body, {
    headers: { "content-type": "application/stream+json; charset=utf-8", "cache-control": "no-store" },
  });
}
