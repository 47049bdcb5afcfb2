import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { silentLog } from "../foundation/log.ts";
import { mirrorUploads } from "./mirror-uploads.ts";

const never = new AbortController().signal;
const CONTENT = "x".repeat(300_000);
const file = () => ({
  sha1: "a",
  size: CONTENT.length,
  body: Readable.from(CONTENT.match(/.{1,1000}/g) ?? []),
});

/** A place that keeps what it is sent, or treats it as `how` says. */
function place(how: (body: Readable) => Promise<unknown> = text) {
  const kept: unknown[] = [];
  return { kept, upload: async ({ body }: { body: Readable }) => void kept.push(await how(body)) };
}

const refuse = async () => {
  throw new Error("refused");
};
const halfway = async (body: Readable) => {
  for await (const _ of body) throw new Error("broken off");
};
const unread = async () => "had it already";

describe("a file that is uploaded", () => {
  it("goes to both places, as it passes", async () => {
    const [primary, standby] = [place(), place()];
    await mirrorUploads({ log: silentLog }, primary, standby).upload(file(), never);
    expect([primary.kept, standby.kept]).toEqual([[CONTENT], [CONTENT]]);
  });

  it.each([
    ["refuses it", refuse],
    ["breaks off", halfway],
    ["reads none of it", unread],
  ])("is whole at the primary although the standby %s", async (_name, how) => {
    const primary = place();
    await mirrorUploads({ log: silentLog }, primary, place(how)).upload(file(), never);
    expect(primary.kept).toEqual([CONTENT]);
  });

  it.each([
    ["refuses it", refuse, "refused"],
    ["breaks off", halfway, "broken off"],
  ])("fails as the primary does when that %s", async (_name, how, message) => {
    const sent = mirrorUploads({ log: silentLog }, place(how), place()).upload(file(), never);
    await expect(sent).rejects.toThrow(message);
  });

  it("fails when its source does", async () => {
    const body = new Readable({ read: () => {} });
    const sent = mirrorUploads({ log: silentLog }, place(), place()).upload({ ...file(), body }, never);
    body.destroy(new Error("the user is gone"));
    await expect(sent).rejects.toThrow("the user is gone");
  });
});
