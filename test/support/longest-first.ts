import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take long, the longest kind first; what matches none of these follows, larger files first. */
const KINDS = [/^test\/e2e\//, /^test\//, /^src\/dock\//, /^src\/gateway\//];

/**
 * The order in which workers take files. A run ends with its last file, so the long ones begin first: they spend
 * their time waiting for leases, drains and builds, and short files fill what is left.
 */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const bySize = await super.sort(files);
    const root = this.ctx.config.root;
    const kind = ({ moduleId }: TestSpecification) => {
      const found = KINDS.findIndex((each) => each.test(moduleId.slice(root.length + 1)));
      return found < 0 ? KINDS.length : found;
    };
    return bySize.toSorted((a, b) => kind(a) - kind(b));
  }
}
