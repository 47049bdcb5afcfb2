import { readdir, readFile } from "node:fs/promises";

/**
 * The living child of `parent` whose command line names `process`, from Linux's /proc: after a restart the pid is a
 * new one, and only the kernel knows it for certain.
 */
export async function childOf(parent: number, process: string): Promise<number> {
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const [stat, commandLine] = await Promise.all([
      read(`/proc/${entry}/stat`),
      read(`/proc/${entry}/cmdline`),
    ]);
    // "pid (name) state ppid …"; the name may hold spaces and brackets.
    const ppid = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    if (ppid === parent && commandLine.split("\0").some((word) => word.includes(process)))
      return Number(entry);
  }
  throw new Error(`The supervisor (${parent}) has no child "${process}".`);
}

const read = (path: string) => readFile(path, "utf8").catch(() => "");
