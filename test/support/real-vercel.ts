type Answer = { readonly status: number; readonly type: string | null; readonly body: string };

type Check = { id: string; name: string; blocks: string };
type Run = { id: string; checkId: string; deploymentId: string; status: string; [field: string]: unknown };

/** Semantics of the real Vercel that the dock does not have. */
export type RealVercel = {
  /** False: the plan has no rolling releases. */
  rollingReleases: boolean;
  /** Vercel Authentication is on, and its bypass secrets. */
  protection: boolean;
  bypass: string[];
  /** Whether the list of deployments shows new ones yet. */
  listLags: boolean;
  paused: boolean;
  /** A rollback is in `lastRollbackTarget` for a moment only; so it is never shown here. */
  link: Readonly<Record<string, unknown>> | null;
  readonly checks: Check[];
  readonly runs: Run[];
  /** The body of the last deployment that was asked for from Git. */
  gitDeployment: Record<string, unknown> | null;
  /** Its own answer to a request that the dock does not know; null: the dock is asked. */
  answer(key: string, url: string, body: string): Answer | null;
  /** The dock's answer, as the real one would have given it. */
  change(key: string, answer: Answer): Answer;
  reset(): void;
};

const json = (status: number, body: unknown): Answer => ({
  status,
  type: "application/json",
  body: JSON.stringify(body),
});

const DEFAULTS = {
  rollingReleases: true,
  protection: false,
  listLags: false,
  paused: false,
  link: null,
  gitDeployment: null,
} as const;

export function createRealVercel(): RealVercel {
  const real: RealVercel = {
    ...DEFAULTS,
    bypass: [],
    checks: [],
    runs: [],
    answer: (key, url, body) => answer(real, key, url, body),
    change: (key, shown) => change(real, key, shown),
    reset() {
      Object.assign(real, DEFAULTS);
      for (const list of [real.bypass, real.checks, real.runs]) list.length = 0;
    },
  };
  return real;
}

function answer(real: RealVercel, key: string, _url: string, body: string): Answer | null {
  if (/ \/v1\/projects\/[^/]+\/rolling-release/.test(key) && !real.rollingReleases) {
    return json(402, { error: { code: "payment_required", message: "Rolling Releases need a Pro plan" } });
  }
  if (/^PATCH \/v1\/projects\/[^/]+\/protection-bypass/.test(key)) {
    real.bypass.push("a-new-bypass-secret");
    return json(200, { protectionBypass: bypassOf(real) });
  }
  if (key === "POST /v13/deployments" && body.includes('"gitSource"')) {
    real.gitDeployment = JSON.parse(body);
    return json(200, { id: "dpl_from_git" });
  }
  return checks(real, key, body);
}

function checks(real: RealVercel, key: string, body: string): Answer | null {
  if (/^GET \/v2\/projects\/[^/]+\/checks$/.test(key)) return json(200, { checks: real.checks });
  if (/^POST \/v2\/projects\/[^/]+\/checks$/.test(key)) {
    const made = { id: `check_${real.checks.length + 1}`, ...JSON.parse(body) };
    real.checks.push(made);
    return json(200, made);
  }
  const [, method, deploymentId, runId] =
    /^(\w+) \/v2\/deployments\/([^/]+)\/check-runs(?:\/([^/]+))?$/.exec(key) ?? [];
  if (deploymentId === undefined) return null;
  if (method === "GET") {
    return json(200, { runs: real.runs.filter((run) => run.deploymentId === deploymentId) });
  }
  if (method === "POST") {
    const made = { id: `run_${real.runs.length + 1}`, deploymentId, status: "queued", ...JSON.parse(body) };
    real.runs.push(made);
    return json(200, made);
  }
  const run = real.runs.find(({ id }) => id === runId);
  if (run) Object.assign(run, JSON.parse(body));
  return run ? json(200, run) : json(404, { error: { code: "not_found", message: "No run." } });
}

function change(real: RealVercel, key: string, shown: Answer): Answer {
  if (shown.status !== 200) return shown;
  const edit = (by: (body: Record<string, unknown>) => unknown): Answer => {
    return { ...shown, body: JSON.stringify(by(JSON.parse(shown.body))) };
  };
  if (/^GET \/v7\/deployments$/.test(key) && real.listLags)
    return edit((body) => ({ ...body, deployments: [] }));
  if (/^GET \/v9\/projects\/[^/]+$/.test(key)) {
    return edit((body) => ({
      ...body,
      lastRollbackTarget: null,
      paused: real.paused,
      ...(real.link === null ? {} : { link: real.link }),
      ...(real.protection ? { ssoProtection: { deploymentType: "preview" } } : {}),
      protectionBypass: bypassOf(real),
    }));
  }
  return shown;
}

function bypassOf({ bypass }: RealVercel) {
  return Object.fromEntries(bypass.map((secret) => [secret, { scope: "automation-bypass", createdAt: 1 }]));
}
