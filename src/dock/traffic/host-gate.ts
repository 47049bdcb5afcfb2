import type { HostRoute } from "../../gateway/index.ts";
import { type RoutedRelease, settingsOf, type TrafficState } from "./snapshot.ts";

/** Vercel's words for what of a project is protected (`ssoProtection.deploymentType`). */
export const PROTECTIONS = [
  "all",
  "preview",
  "prod_deployment_urls_and_all_previews",
  "all_except_custom_domains",
] as const;
export type Protection = (typeof PROTECTIONS)[number];

/** The stricter of a project's two kinds of protection: the dock asks for the same secret for both. */
export function protectionOf(options: Readonly<Record<string, unknown>>): Protection | null {
  const asked = [options.ssoProtection, options.passwordProtection].map((one) => {
    if (typeof one !== "object" || one === null) return null;
    const type = "deploymentType" in one ? one.deploymentType : null;
    return PROTECTIONS.find((known) => known === type) ?? "prod_deployment_urls_and_all_previews";
  });
  return STRICTEST_FIRST.find((protection) => asked.includes(protection)) ?? null;
}

const STRICTEST_FIRST: readonly Protection[] = [
  "all",
  "all_except_custom_domains",
  "prod_deployment_urls_and_all_previews",
  "preview",
];

/** What stands before a host's releases, and nothing where nothing does. Pure. */
export function gateOfHost(
  state: TrafficState,
  host: string,
  release: RoutedRelease | undefined,
): Pick<HostRoute, "gate"> {
  if (!release) return {};
  const { paused, protection, bypass } = settingsOf(state, release.projectId);
  const domain = state.domains.get(host);
  if (paused) return { gate: { kind: "paused" } };
  if (domain?.redirect) return { gate: { kind: "redirect", ...domain.redirect } };
  const facts = {
    isProduction: release.target === "production",
    isOwn: host === release.host,
    isCustom: domain !== undefined || state.aliases.get(host)?.kind === "custom",
  };
  if (protection === null || !isProtected(protection, facts)) return {};
  return { gate: { kind: "protected", bypass } };
}

/** Source: vercel.com/docs/deployment-protection, "Understanding Deployment Protection by environment". */
export function isProtected(
  protection: Protection,
  host: { readonly isProduction: boolean; readonly isOwn: boolean; readonly isCustom: boolean },
): boolean {
  switch (protection) {
    case "all":
      return true;
    case "preview":
      return !host.isProduction;
    case "prod_deployment_urls_and_all_previews":
      return !host.isProduction || host.isOwn;
    case "all_except_custom_domains":
      return !host.isProduction || !host.isCustom;
  }
}
