import { describe, expect, it } from "vitest";
import { isProtected, PROTECTIONS, protectionOf } from "./host-gate.ts";

const HOSTS = {
  "a preview's": { isProduction: false, isOwn: true, isCustom: false },
  "production's own": { isProduction: true, isOwn: true, isCustom: false },
  "production's": { isProduction: true, isOwn: false, isCustom: false },
  "a custom domain": { isProduction: true, isOwn: false, isCustom: true },
} as const;

describe("protection", () => {
  it.each([
    ["all", ["a preview's", "production's own", "production's", "a custom domain"]],
    ["all_except_custom_domains", ["a preview's", "production's own", "production's"]],
    ["prod_deployment_urls_and_all_previews", ["a preview's", "production's own"]],
    ["preview", ["a preview's"]],
  ] as const)("%s stands before %j", (protection, expected) => {
    const found = Object.entries(HOSTS).filter(([, host]) => isProtected(protection, host));
    expect(found.map(([name]) => name)).toEqual(expected);
  });

  it("is the stricter of the two kinds that a project may have, or none", () => {
    const [all, preview] = PROTECTIONS.map((deploymentType) => ({ deploymentType }));
    expect(protectionOf({ ssoProtection: preview, passwordProtection: all })).toBe("all");
    expect(protectionOf({ ssoProtection: preview, passwordProtection: null })).toBe("preview");
    expect(protectionOf({ ssoProtection: { deploymentType: "a newer word" } })).toBe(
      "prod_deployment_urls_and_all_previews",
    );
    expect(protectionOf({})).toBeNull();
  });
});
