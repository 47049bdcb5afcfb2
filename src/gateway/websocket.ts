import type { Socket } from "node:net";
import { FrameReader } from "./frames.ts";

// How long an app may take to end the message that it is sending when its WebSocket is to end.
const MESSAGE_END_MS = 5_000;
// How long the client may take to answer the close frame, after which the connection ends in any case.
const CLOSE_MS = 5_000;
// A close frame (RFC 6455 §5.5.1) with 1012, "service restart": clients reconnect after it, to the next release.
const RESTART_FRAME = Buffer.from([0x88, 0x02, 0x03, 0xf4]);

/**
 * Joins the two halves of a WebSocket until either side ends.
 * @param early what the app sent right after its handshake
 * @returns what ends it politely: after the message under way, a close frame with 1012, and then the connection. The
 *   client's answer to that still reaches the app.
 */
export function joinWebSocket(client: Socket, app: Socket, early: Buffer): () => void {
  const frames = new FrameReader();
  let state: "open" | "leaving" | "said" = "open";
  let timer: NodeJS.Timeout | null = null;

  const after = (ms: number, act: () => void) => {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(act, ms);
  };
  const cut = () => {
    client.destroy();
    app.destroy();
  };
  const sayGoodbye = () => {
    state = "said";
    // An app that is closing has said it itself.
    if (frames.closed) client.end();
    else client.end(RESTART_FRAME);
    app.resume();
    after(CLOSE_MS, cut);
  };
  const toClient = (chunk: Buffer) => {
    if (state === "said") return;
    const read = frames.read(chunk, state === "leaving");
    const isTaken = client.write(read === chunk.length ? chunk : chunk.subarray(0, read));
    if (state === "leaving" && frames.atMessageEnd) return sayGoodbye();
    if (!isTaken) app.pause();
  };

  if (early.length > 0) toClient(early);
  client.pipe(app);
  app.on("data", toClient);
  app.once("end", () => client.end());
  client.on("drain", () => app.resume());
  client.once("close", () => {
    if (timer !== null) clearTimeout(timer);
  });
  return () => {
    if (state !== "open" || client.destroyed) return;
    if (frames.atMessageEnd) return sayGoodbye();
    state = "leaving";
    after(MESSAGE_END_MS, () => {
      // Between two fragments a close frame is understood; within a frame it would be taken for its payload.
      if (frames.atFrameEnd) sayGoodbye();
      else cut();
    });
  };
}
