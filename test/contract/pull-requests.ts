import { describe, expect, it } from "vitest";
import type { PullRequests } from "../../src/previews/index.ts";

/** A real place where the port under test finds what is open, and how a test changes it. */
export type PullRequestsStand = {
  readonly port: PullRequests;
  readonly repository: string;
  /** Opens one and answers its key. */
  open(name: string): Promise<{ key: string; commit: string }>;
  /** A new commit on it; answers its id. */
  push(name: string): Promise<string>;
  close(name: string): Promise<void>;
  /** The name of a repository that is not there, on a host that is. */
  readonly missing: string;
  /** The host answers nothing more. */
  kill(): Promise<void>;
};

const never = new AbortController().signal;
const openAt = ({ port, repository }: Pick<PullRequestsStand, "port" | "repository">, signal = never) =>
  port.open({ projectId: "prj_shop", repository }, signal);

/** What every implementation of `PullRequests` does. `many`: more than fit one answer of the host. */
export function describePullRequests(
  name: string,
  options: { many: number; start: () => Promise<PullRequestsStand & AsyncDisposable> },
): void {
  const keysOf = async ({ port, repository }: PullRequestsStand) =>
    (await openAt({ port, repository })).map(({ key }) => key).sort();

  describe(`${name}, as the port PullRequests`, () => {
    it("lists what is open, each with its key and its head", async () => {
      await using stand = await options.start();
      const [a, b] = [await stand.open("one"), await stand.open("two")];
      const open = await openAt(stand);
      const mine = open.filter(({ key }) => key === a.key || key === b.key);
      expect(
        mine.map(({ key, commit }) => ({ key, commit })).sort((x, y) => (x.key < y.key ? -1 : 1)),
      ).toEqual([a, b].sort((x, y) => (x.key < y.key ? -1 : 1)));
      for (const each of mine) expect(each).toMatchObject({ fork: false, cloneUrl: expect.any(String) });
    });

    it("gives a push its new head under the same key", async () => {
      await using stand = await options.start();
      const { key } = await stand.open("one");
      const commit = await stand.push("one");
      const open = await openAt(stand);
      expect(open.find((each) => each.key === key)?.commit).toBe(commit);
    });

    it("does not list what was closed, and lists it again when it is reopened", async () => {
      await using stand = await options.start();
      const { key } = await stand.open("one");
      await stand.close("one");
      expect(await keysOf(stand)).not.toContain(key);
      expect((await stand.open("one")).key).toBe(key);
      expect(await keysOf(stand)).toContain(key);
    });

    it("lists every one of many, once", async () => {
      await using stand = await options.start();
      const opened: string[] = [];
      for (let at = 0; at < options.many; at++) opened.push((await stand.open(`many-${at}`)).key);
      const keys = await keysOf(stand);
      expect(keys.filter((key) => opened.includes(key))).toEqual(opened.sort());
      expect(new Set(keys).size).toBe(keys.length);
    });

    it("throws where there is no such repository; never an empty list", async () => {
      await using stand = await options.start();
      await expect(openAt({ ...stand, repository: stand.missing })).rejects.toMatchObject({
        name: "AppError",
        code: "not_found",
        hint: expect.any(String),
      });
    });

    it("throws when the host does not answer", async () => {
      await using stand = await options.start();
      await stand.open("one");
      await stand.kill();
      await expect(openAt(stand)).rejects.toMatchObject({ name: "AppError" });
    });

    it("ends when it is told to", async () => {
      await using stand = await options.start();
      const stopped = AbortSignal.abort(new Error("shutting down"));
      await expect(openAt(stand, stopped)).rejects.toThrow("shutting down");
    });
  });
}
