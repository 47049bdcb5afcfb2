import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export type Forked = { readonly pid: number; readonly port: number; stop(): Promise<void> };

/** Starts a server of this folder that says its port on its IPC channel. */
export async function forkServer(file: string, ...args: string[]): Promise<Forked> {
  const child = fork(join(import.meta.dirname, file), args);
  const exited = once(child, "exit");
  const [port] = await Promise.race([
    once(child, "message"),
    exited.then(([code]) => Promise.reject(new Error(`${file} ended with ${code}.`))),
  ]);
  return {
    pid: child.pid ?? 0,
    port: port as number,
    async stop() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
