import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  branchHost,
  environmentHost,
  immutableHost,
  label,
  parseHost,
  productionHost,
  pullRequestHost,
} from "./hosts.ts";

describe("host names", () => {
  it.each([
    [productionHost("storefront", "localhost"), "storefront.localhost"],
    [environmentHost("storefront", "staging", "localhost"), "storefront-staging.localhost"],
    [branchHost("storefront", "feat/Add_Cart", "localhost"), "storefront-git-feat-add-cart.localhost"],
    [pullRequestHost("storefront", 7, "localhost"), "storefront-pr-7.localhost"],
    [immutableHost("storefront", "dpl_0123456789abc", "localhost"), "storefront-012345678.localhost"],
    [productionHost("my_app.v2", "example.test"), "my-app-v2.example.test"],
  ])("%s", (host, expected) => expect(host).toBe(expected));

  it("long names are cut to 63 characters and stay apart", () => {
    const a = label(`${"a".repeat(80)}1`);
    const b = label(`${"a".repeat(80)}2`);
    expect(a).toHaveLength(63);
    expect(a).not.toBe(b);
  });

  it("every label made of any text is a valid label", () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 200 }),
        fc.string({ minLength: 1, maxLength: 200 }),
        (name, branch) => {
          expect(parseHost(branchHost(name, branch, "localhost"))).not.toBeNull();
          expect(parseHost(immutableHost(name, "dpl_0123456789abc", "localhost"))).not.toBeNull();
        },
      ),
    );
  });

  it.each(["", "a..b", "-a.b", "a b", "http://a", "a:80", "a".repeat(64)])("%j is no host", (text) =>
    expect(parseHost(text)).toBeNull());
});
