import { type ChildProcess, spawn } from "node:child_process";

/** Ends what is left when this process ends in whatever way, SIGKILL included. */
export type Reaper = {
  watch(pid: number): void;
  forget(pid: number): void;
  close(): void;
};

// `read` fails when the other end of the pipe is gone, and that is when this process is. A child that is caught in an
// endless loop would not notice it itself. Each child leads a group of its own, with whatever it started.
const SCRIPT = `trap '' TERM INT HUP
left=
while read -r change pid; do
  kept=
  for one in $left; do [ "$one" = "$pid" ] || kept="$kept $one"; done
  left=$kept
  [ "$change" = + ] && left="$left $pid"
done
for one in $left; do kill -KILL -- "-$one"; kill -KILL "$one"; done 2>/dev/null
exit 0`;

export function startReaper(env: Readonly<Record<string, string>>): Reaper {
  const reaper: ChildProcess = spawn("/bin/sh", ["-c", SCRIPT], {
    cwd: "/",
    env,
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  reaper.unref();
  const tell = (line: string) => reaper.stdin?.write(line);
  reaper.on("error", () => {});
  reaper.stdin?.on("error", () => {});
  return {
    watch: (pid) => void tell(`+ ${pid}\n`),
    forget: (pid) => void tell(`- ${pid}\n`),
    close: () => void reaper.stdin?.end(),
  };
}
