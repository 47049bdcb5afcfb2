import { describe, expect, it } from "vitest";
import type { HostnameSwitch } from "../../src/failover/index.ts";

/** A switch, the place that it moves, and the far side of it, which the suite looks at and makes fail. */
export type SwitchStand<O> = {
  readonly implementation: HostnameSwitch<O>;
  readonly hostname: string;
  readonly options: O;
  /** Where the far side has the hostname; null: neither here nor there. */
  pointsTo(): "primary" | "standby" | null;
  /** Puts it there, behind the switch's back. */
  put(side: "primary" | "standby" | "elsewhere"): void;
  /** How often the far side was changed. */
  changes(): number;
  /** The next request that changes something is refused with this status; or done, and its answer lost. */
  fail(status: number | "answer lost"): void;
};

/** What every implementation of `HostnameSwitch` promises. */
export function hostnameSwitchContract<O>(name: string, stand: () => SwitchStand<O>): void {
  const never = new AbortController().signal;
  const place = () => ({ projectId: "prj_shop", hostname: stand().hostname, options: stand().options });
  const point = (to: "primary" | "standby", key = "fsw_1") =>
    stand().implementation.point({ ...place(), to, key, sequence: 1, reason: "a test" }, never);
  const side = async () => {
    const reading = await stand().implementation.read(place(), never);
    return reading === "unsupported" ? reading : reading.side;
  };

  describe(`the switch ${name}`, () => {
    it("reads where the hostname points", async () => {
      for (const where of ["primary", "standby", "primary"] as const) {
        stand().put(where);
        expect(await side()).toBe(where);
      }
    });

    it("moves it there and back, and reads back what it did", async () => {
      stand().put("primary");
      await point("standby", "fsw_1");
      expect([stand().pointsTo(), await side()]).toEqual(["standby", "standby"]);
      await point("primary", "fsw_2");
      expect([stand().pointsTo(), await side()]).toEqual(["primary", "primary"]);
    });

    it("does a switch that was done already once", async () => {
      stand().put("primary");
      await point("standby");
      const before = stand().changes();
      await point("standby");
      expect([stand().pointsTo(), stand().changes()]).toEqual(["standby", before]);
    });

    it("may be asked again when its answer was lost", async () => {
      stand().put("primary");
      stand().fail("answer lost");
      await expect(point("standby")).rejects.toMatchObject({ code: "upstream" });
      expect(stand().pointsTo()).toBe("standby");
      await point("standby");
      expect(stand().pointsTo()).toBe("standby");
    });

    it.each([
      [503, "upstream"],
      [429, "upstream"],
      [403, "unprocessable"],
    ])("tells a refusal with %i as %s, and has changed nothing", async (status, code) => {
      stand().put("primary");
      stand().fail(status);
      await expect(point("standby")).rejects.toMatchObject({ code });
      expect(stand().pointsTo()).toBe("primary");
    });

    it("ends with its signal", async () => {
      const reason = new Error("enough");
      const request = { ...place(), to: "standby" as const, key: "fsw_9", sequence: 1, reason: "." };
      const aborted = AbortSignal.abort(reason);
      await expect(stand().implementation.point(request, aborted)).rejects.toBe(reason);
    });
  });
}
