import { parentPort, workerData } from "node:worker_threads";
import { runStream, runWebSocket } from "./channel.ts";
import type { FromWorker, LoadOptions, ToWorker } from "./load-messages.ts";
import { LoadRecord } from "./load-record.ts";
import { runVisitor } from "./visitor.ts";

// The load has a thread of its own: what it measures must not wait for whoever tells the story.
const options: LoadOptions = workerData;
const record = new LoadRecord();
const leaving = new AbortController();

const times = (count: number, run: (index: number) => Promise<void>) =>
  Array.from({ length: count }, (_, i) => run(i));
const everyone = Promise.all([
  ...times(options.visitors, (index) => runVisitor(options, record, leaving.signal, index)),
  ...times(options.webSockets, () => runWebSocket(options, record, leaving.signal)),
  ...times(options.streams, () => runStream(options, record, leaving.signal)),
]);

const tell = (message: FromWorker) => parentPort?.postMessage(message);
parentPort?.on("message", async (message: ToWorker) => {
  if (message.type === "take") return tell({ type: "take", take: record.take() });
  leaving.abort();
  await everyone;
  tell({ type: "stopped", take: record.take() });
  parentPort?.close();
});
