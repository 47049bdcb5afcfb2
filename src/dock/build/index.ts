/** From a tree of files to something that can be served: detection, build, artifact. */
export type {
  Artifact,
  BuildEvent,
  Builder,
  BuildFailureCode,
  BuildRequest,
  BuildResult,
  BuildSettings,
} from "./build.ts";
export { BuildFailure } from "./build.ts";
export { type BuilderOptions, createBuilder, type DockBuilder } from "./builder.ts";
export type { BuildLimits } from "./limits.ts";
