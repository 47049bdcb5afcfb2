import type { Readable } from "node:stream";
import type { PrepareInput } from "../deployments/index.ts";
import type { PrepareStandby, ResupplyStandby } from "../failover/index.ts";
import { AppError } from "../foundation/errors.ts";
import { forgetUploaded, readTree } from "../sources/index.ts";
import type { Target } from "../targets/target.ts";
import { CONFIG_FILE, MAX_CONFIG_BYTES } from "./parse-config.ts";
import { type Code, type PrepareDeps, planFor, targetName } from "./prepare.ts";
import { getProject, type Project } from "./queries.ts";

type Deps = Pick<PrepareDeps, "db" | "git">;

/** Reads a deployment's code again, for a second place. Nothing is sent and nothing is remembered of the first one. */
export function prepareStandby(deps: Deps): PrepareStandby {
  return async (input, signal) => {
    const project = await getProject(deps.db, input.project);
    const code = await readAgain(deps, project, input, signal);
    const config = planFor(code, input);
    const services = config.services.map((service) => ({
      ...service,
      targetProject: targetName(project, config, service),
    }));
    return { files: code.files, services, commit: code.commit };
  };
}

async function readAgain(
  deps: Deps,
  project: Project,
  input: PrepareInput,
  signal: AbortSignal,
): Promise<Code> {
  if ("tree" in input.source) {
    const tree = await readTree(deps.db, project.id, input.source.tree);
    return { ...tree, branch: input.branch, commit: input.commit };
  }
  const url = input.source.git;
  const { sha, files, branch } = await deps.git.fetch(
    { projectId: project.id, url, branch: input.branch, commit: input.commit.sha },
    signal,
  );
  const config = await deps.git.readText({ url, sha, path: CONFIG_FILE, maxBytes: MAX_CONFIG_BYTES }, signal);
  return { files, config, branch, commit: { ...input.commit, sha } };
}

/**
 * Sends the second place what it lacks: of a git source from the repository. Of a tree only the user has the files; its
 * next deploy sends them anew, to both places.
 */
export function resupplyStandby(deps: Deps, standby: Pick<Target, "upload">): ResupplyStandby {
  return async ({ project, source, branch, commit }, missing, signal) => {
    if ("tree" in source) {
      await forgetUploaded(deps.db, missing);
      throw new AppError("unprocessable", `The dock lacks ${missing.length} of the tree's files.`, {
        hint: "Run `signalbox deploy` again; it sends them to both places.",
      });
    }
    const url = source.git;
    const { id: projectId } = await getProject(deps.db, project);
    const { sha } = await deps.git.fetch({ projectId, url, branch, commit: commit.sha }, signal);
    const send = (file: { sha1: string; size: number; body: Readable }) => standby.upload(file, signal);
    await deps.git.readFiles({ url, sha, sha1s: new Set(missing) }, send, signal);
  };
}
