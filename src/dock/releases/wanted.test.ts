import { expect, it } from "vitest";
import type { RoutedRelease, TrafficState } from "../traffic/snapshot.ts";
import { wantedReleases } from "./wanted.ts";

const NOW = new Date("2026-01-01T12:00:00Z");
const minutesAgo = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000);

function release(id: string, minutes: number, parts: Partial<RoutedRelease> = {}): [string, RoutedRelease] {
  const base = {
    id,
    projectId: "p",
    project: "p",
    host: `${id}.localhost`,
    manifest: "/m",
    socket: `/run/${id}`,
    branch: null,
  };
  const at = minutesAgo(minutes);
  return [id, { ...base, target: "production", createdAt: at, readyAt: at, promotedAt: null, ...parts }];
}
function state(releases: [string, RoutedRelease][], parts: Partial<TrafficState> = {}): TrafficState {
  const empty = { generation: 1, aliases: new Map(), rollouts: new Map(), manual: new Set<string>() };
  const none = {
    former: new Map(),
    settings: new Map(),
    holds: new Map(),
    domains: new Map(),
    gone: new Map(),
  };
  return { ...empty, ...none, releases: new Map(releases), ...parts };
}
const old = [90, 80, 70, 60, 50].map((minutes, i) => release(`r${i}`, minutes));

it("the last three of a project and target run", () => {
  expect([...wantedReleases(state(old), NOW)].sort()).toEqual(["r2", "r3", "r4"]);
});

it("targets and projects are counted apart", () => {
  const all = [
    ...old,
    release("preview", 99, { target: "preview" }),
    release("other", 99, { projectId: "q" }),
  ];
  expect([...wantedReleases(state(all), NOW)].sort()).toEqual(["other", "preview", "r2", "r3", "r4"]);
});

it("whatever a host or a rolling release points to runs, however old", () => {
  const aliases = new Map([["x", { deploymentId: "r0", projectId: "p", kind: "custom" as const }]]);
  const rollouts = new Map([["p", { id: "rr", stable: "r1", canary: "r4", weight: 10 }]]);
  expect([...wantedReleases(state(old, { aliases, rollouts }), NOW)].sort()).toEqual([
    "r0",
    "r1",
    "r2",
    "r3",
    "r4",
  ]);
});

it("everything younger than ten minutes runs", () => {
  const fresh = [9, 8, 7, 6].map((minutes, i) => release(`f${i}`, minutes));
  expect(wantedReleases(state(fresh), NOW).size).toBe(4);
});

it("static releases have nothing to run", () => {
  expect(wantedReleases(state([release("s", 1, { socket: null })]), NOW).size).toBe(0);
});

const left = (deploymentId: string, parts: object = {}) => {
  return { deploymentId, supersededAt: NOW, drainUntil: null, rolledBack: false, ...parts };
};
const production = new Map([["x", { deploymentId: "r4", projectId: "p", kind: "production" as const }]]);

it("the release that production would go back to runs, however many newer builds there are", () => {
  const former = new Map([["x", [left("r1", { rolledBack: true }), left("r0")]]]);
  const wanted = wantedReleases(state(old, { aliases: production, former }), NOW);
  expect([...wanted].sort()).toEqual(["r0", "r2", "r3", "r4"]);
});

it("a release that visitors are kept at runs until its deadline", () => {
  const until = (minutes: number) => new Map([["y", [left("r0", { drainUntil: minutesAgo(minutes) })]]]);
  expect(wantedReleases(state(old, { former: until(-1) }), NOW).has("r0")).toBe(true);
  expect(wantedReleases(state(old, { former: until(1) }), NOW).has("r0")).toBe(false);
});
