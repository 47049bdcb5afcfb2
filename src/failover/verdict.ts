import type { Side } from "./policy.ts";
import type { Sighting } from "./sighting.ts";

/**
 * - `well`: the primary serves the release.
 * - `away`: the platform does not serve, whatever the release is. The only verdict that moves anybody automatically.
 * - `release`: the platform answers, and the release does not do well: another copy of it would not either.
 * - `hostname`: the platform serves the release at its own address, and the hostname does not lead there.
 * - `cut_off`: nothing answers us, so it is we who are away.
 * - `unclear`: what was seen allows no conclusion.
 */
export type Verdict = "well" | "away" | "release" | "hostname" | "cut_off" | "unclear";

export type Seen = {
  /** Who serves the hostname. */
  readonly serving: Side;
  /** The hostname, as a visitor opens it. Null: there is none, or it was not looked at. */
  readonly hostname: Sighting | null;
  /** The release at the platform's own address. Null: its address is not known. */
  readonly primary: Sighting | null;
  /** Whether the standby answers its health check. */
  readonly standbyAnswers: boolean;
  /** Of the witnesses, how many answered anything. Null: there are none. */
  readonly witnesses: number | null;
  /** The platform's status page: `none` is well. Null: not asked, or no answer. */
  readonly indicator: string | null;
};

export type Judged = { readonly verdict: Verdict; readonly reason: string };

/** What is wrong with the primary, from one look at everything. Pure. */
export function judge(seen: Seen): Judged {
  const { primary, serving } = seen;
  // While the standby serves, the hostname tells about the standby.
  const hostname = serving === "primary" ? seen.hostname : null;
  if (hostname === null && primary === null) return is("unclear", "There is no address to look at.");
  if (hostname?.kind === "good" || (hostname === null && primary?.kind === "good"))
    return is("well", "It answers.");
  if (hostname && primary?.kind === "good") {
    return is("hostname", `The hostname fails (${tell(hostname)}), and the platform's own address answers.`);
  }
  const sightings = [hostname, primary].filter((one) => one !== null);
  const answered = sightings.find((one) => one.kind === "answered" && !one.byPlatform);
  if (answered) return is("release", `The platform answers, and the release is not well: ${tell(answered)}.`);
  if (seen.witnesses === 0)
    return is("cut_off", "No witness answers either: this machine seems to be cut off.");
  const told = sightings.map(tell).join("; ");
  if (sightings.every((one) => one.kind === "hung") && !pageAdmits(seen.indicator)) {
    return is("release", `The platform takes connections, and the release says nothing: ${told}.`);
  }
  if (!seen.standbyAnswers)
    return is("unclear", `It fails (${told}), and the standby does not answer either.`);
  const page = seen.indicator === null ? "" : ` Its status page says "${seen.indicator}".`;
  return is("away", `The platform does not serve: ${told}.${page}`);
}

function pageAdmits(indicator: string | null): boolean {
  return indicator !== null && indicator !== "none" && indicator !== "maintenance";
}

function is(verdict: Verdict, reason: string): Judged {
  return { verdict, reason };
}

function tell(sighting: Sighting): string {
  return sighting.kind === "good" ? "it answers" : sighting.detail;
}
