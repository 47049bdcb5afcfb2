import { execFile } from "node:child_process";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Who commits in the demo, whatever the machine's own git settings are. */
const IDENTITY = [
  ["user.name", "Halt & Co."],
  ["user.email", "shop@storefront.localhost"],
  ["commit.gpgsign", "false"],
  ["init.defaultBranch", "main"],
].flatMap(([key, value]) => ["-c", `${key}=${value}`]);

const LEFT_OUT = new Set(["node_modules", "dist"]);

export type Commit = { readonly sha: string; readonly version: string; readonly message: string };

/** The shop's own git repository, made from the example. */
export class Repository {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Copies `example` into a new repository at `directory`. */
  static async create(example: string, directory: string): Promise<Repository> {
    await mkdir(directory, { recursive: true });
    await cp(example, directory, { recursive: true, filter: (source) => !LEFT_OUT.has(basename(source)) });
    const repository = new Repository(directory);
    await repository.#git("init", "--quiet");
    return repository;
  }

  /** Commits the tree as it is. */
  async commit(message: string): Promise<Commit> {
    await this.#git("add", "--all");
    await this.#git("commit", "--quiet", "--message", message);
    const { version } = JSON.parse(await readFile(this.#path("src/version.json"), "utf8"));
    return { sha: await this.#git("rev-parse", "HEAD"), version, message };
  }

  /** Rewrites the page's version, headline and colour. */
  async restyle(look: { version: string; headline: string; accent: string }): Promise<void> {
    await writeFile(this.#path("src/version.json"), `${JSON.stringify(look, null, 2)}\n`);
  }

  /** Replaces `from` in a file. Throws when the file does not have it: the change would not be the one that is told. */
  async edit(file: string, from: string, to: string): Promise<void> {
    const text = await readFile(this.#path(file), "utf8");
    if (!text.includes(from))
      throw new Error(`${file} of the storefront no longer holds the lines to change.`);
    await writeFile(
      this.#path(file),
      text.replace(from, () => to),
    );
  }

  /** Writes a new file. */
  async add(file: string, text: string): Promise<void> {
    await mkdir(dirname(this.#path(file)), { recursive: true });
    await writeFile(this.#path(file), text);
  }

  /** Does `work` on a new branch, and comes back to the one before. */
  async onBranch<T>(branch: string, work: () => Promise<T>): Promise<T> {
    await this.#git("checkout", "--quiet", "-b", branch);
    const result = await work();
    await this.#git("checkout", "--quiet", "-");
    return result;
  }

  async deleteBranch(branch: string): Promise<void> {
    await this.#git("branch", "--quiet", "-D", branch);
  }

  #path(file: string): string {
    return join(this.directory, file);
  }

  async #git(...args: string[]): Promise<string> {
    const { stdout } = await run("git", [...IDENTITY, ...args], { cwd: this.directory });
    return stdout.trim();
  }
}
