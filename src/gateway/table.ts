import type { Clock } from "../foundation/clock.ts";
import { type CountersByRelease, newTally, readTally, type Tally } from "./counters.ts";
import { openUpstream, type Upstream } from "./pool.ts";
import { hostName } from "./request-headers.ts";
import { loadSite, type Site } from "./site.ts";
import type { Hold, HostRoute, Release, Snapshot } from "./snapshot.ts";

/** A release as one worker holds it, from the first snapshot that names it to the last request that it answers. */
export type Served = {
  readonly id: string;
  readonly socket: string | null;
  readonly tally: Tally;
  /** Null until the manifest was read. */
  site: Site | null;
  /** Reads the manifest, once; after a failure, again at the next call. */
  load(): Promise<Site>;
  /** Null for a release without a process. */
  readonly upstream: Upstream | null;
};

export type HostEntry = {
  readonly host: string;
  readonly route: HostRoute;
  /** The release that answers whoever asks for nothing else; null where each request must be looked at. */
  readonly only: Served | null;
  /** True: a request may name another release. */
  readonly asks: boolean;
};

/** What a worker serves: swapped whole, between two requests. */
export type Table = {
  readonly generation: number;
  apply(snapshot: Snapshot): void;
  /** @param host the `Host` header as sent */
  find(host: string): HostEntry | null;
  /** A host without an entry had a deployment that was not kept any longer. */
  wasThere(host: string): boolean;
  release(id: string): Served | null;
  /**
   * How long the host keeps sending somebody to the release: 0 when it has stopped.
   * @param named the visitor names the release with each request
   */
  keepsForMs(host: string, release: string, named: boolean): number;
  /** What holds the host's requests up. */
  holdOf(host: string): Hold | null | undefined;
  counters(): CountersByRelease;
};

const CACHED_SPELLINGS = 10_000;

export function createTable(clock: Pick<Clock, "now" | "monotonicMs">): Table {
  let generation = 0;
  let hosts = new Map<string, HostEntry>();
  // `Shop.localhost:8080` → the entry of `shop.localhost`. Only hosts that exist, so that nobody can fill it with
  // others.
  let spellings = new Map<string, HostEntry>();
  const releases = new Map<string, Served>();
  let gone: ReadonlySet<string> = new Set();

  const retire = (served: Served) => {
    releases.delete(served.id);
    // `close` lets what is in flight finish.
    served.upstream?.close();
  };

  return {
    get generation() {
      return generation;
    },
    apply(snapshot) {
      for (const release of Object.values(snapshot.releases)) {
        const known = releases.get(release.id);
        if (known !== undefined && known.socket === release.socket) continue;
        // A restarted app may be given another socket; its counters go on.
        if (known !== undefined) known.upstream?.close();
        releases.set(release.id, serve(release, known?.tally ?? newTally(), clock));
      }
      for (const served of [...releases.values()]) {
        if (!Object.hasOwn(snapshot.releases, served.id)) retire(served);
      }
      const next = new Map<string, HostEntry>();
      for (const [host, route] of Object.entries(snapshot.hosts)) {
        const first = isPlain(route) ? route.targets[0] : undefined;
        const only = (first && releases.get(first.release)) ?? null;
        next.set(host, { host, route, only, asks: route.nameable !== undefined });
      }
      hosts = next;
      gone = new Set(snapshot.gone);
      spellings = new Map();
      generation = snapshot.generation;
    },
    find(spelling) {
      const known = spellings.get(spelling);
      if (known !== undefined) return known;
      const entry = hosts.get(hostName(spelling) ?? "") ?? null;
      if (entry !== null && spellings.size < CACHED_SPELLINGS) spellings.set(spelling, entry);
      return entry;
    },
    wasThere: (spelling) => gone.has(hostName(spelling) ?? ""),
    release: (id) => releases.get(id) ?? null,
    keepsForMs(host, release, named) {
      const route = hosts.get(host)?.route;
      if (route === undefined) return 0;
      // A canary without weight is there for those who ask for it.
      if (route.targets.some((target) => target.release === release)) return Infinity;
      const lists = [route.draining, named ? route.nameable : undefined];
      const ends = lists.flatMap((list) => list?.filter((entry) => entry.release === release) ?? []);
      return Math.max(0, ...ends.map(({ untilMs }) => untilMs - clock.now().getTime()));
    },
    holdOf: (host) => hosts.get(host)?.route.hold,
    counters() {
      return Object.fromEntries([...releases].map(([id, { tally }]) => [id, readTally(tally)]));
    },
  };
}

/** True: one release answers whoever comes, and nobody is given a cookie. */
function isPlain({ targets, sticky, draining, hold }: HostRoute): boolean {
  return targets.length === 1 && sticky !== true && draining === undefined && !hold;
}

function serve(release: Release, tally: Tally, clock: { monotonicMs(): number }): Served {
  let loading: Promise<Site> | null = null;
  const served: Served = {
    id: release.id,
    socket: release.socket,
    tally,
    site: null,
    upstream: release.socket === null ? null : openUpstream(release.socket, clock),
    load() {
      loading ??= loadSite(release.manifest).then(
        (site) => {
          served.site = site;
          return site;
        },
        (error) => {
          loading = null;
          throw error;
        },
      );
      return loading;
    },
  };
  return served;
}
