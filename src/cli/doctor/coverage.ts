import { messageOf } from "../../foundation/errors.ts";
import type { Api } from "../client/api.ts";
import { bad, type Check, good } from "./check.ts";

type Coverage = {
  readonly checks: number;
  readonly known: number;
  readonly problems: readonly {
    readonly project: string;
    readonly environment: string;
    readonly subject: string;
    readonly why: string;
    readonly hint: string;
  }[];
};

/** What nobody would notice if it broke. */
export async function checkCoverage(api: Api): Promise<Check[]> {
  try {
    const { checks, known, problems } = await api.get<Coverage>("/api/checks/coverage");
    const found = `${known} of ${checks} checks have a verdict`;
    if (problems.length === 0) return [good("checks", found)];
    return problems.map(({ project, environment, subject, why, hint }) =>
      bad("checks", `${[project, environment, subject].filter(Boolean).join("/")}: ${why}`, hint),
    );
  } catch (error) {
    return [bad("checks", messageOf(error), "Look into the control plane's log.")];
  }
}
