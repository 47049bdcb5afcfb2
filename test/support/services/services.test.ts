import { once } from "node:events";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { isAlive } from "../../../src/foundation/process.ts";
import { startChromium } from "./chromium.ts";
import { startMariadb } from "./mariadb.ts";
import { layLine } from "./partition.ts";
import { startRabbitmq } from "./rabbitmq.ts";
import { startRedis } from "./redis.ts";
import { ask, canStart } from "./service.ts";

const starters = {
  redis: { start: () => startRedis(), say: "PING\r\n", hear: "+PONG" },
  mariadb: { start: () => startMariadb(), say: null, hear: "MariaDB" },
  rabbitmq: { start: () => startRabbitmq(), say: "AMQP\0\0\u0009\u0001", hear: "RabbitMQ" },
  chromium: {
    start: () => startChromium(),
    say: "GET /json/version HTTP/1.1\r\nHost: localhost\r\n\r\n",
    hear: "200 OK",
  },
} as const;

for (const [name, { start, say, hear }] of Object.entries(starters)) {
  test.skipIf(!canStart(name as keyof typeof starters))(
    `${name} answers, freezes, thaws and dies`,
    async () => {
      const service = await start();
      onTestFinished(service.stop);
      const answer = async () => String(await ask(service.host, service.port, say));
      expect(await answer()).toContain(hear);
      service.freeze();
      expect(await answer()).toBe("null");
      service.thaw();
      await expect.poll(answer).toContain(hear);
      await service.kill();
      expect(isAlive(service.pid)).toBe(false);
    },
  );
}

test.skipIf(!canStart("redis"))(
  "packets vanish on a line that is cut: nothing is closed or refused",
  async () => {
    const line = await layLine();
    onTestFinished(line.close);
    const redis = await startRedis({ place: line.place });
    onTestFinished(redis.stop);
    const { host, port } = await line.reach(redis.port);
    const socket = connect({ host, port });
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    line.cut();
    socket.write("PING\r\n");
    let heard = "";
    for (const event of ["data", "error", "close"]) socket.once(event, () => (heard = event));
    // Long enough for a refusal, and for two packets to be sent again.
    expect(await ask(host, port, "PING\r\n")).toBeNull();
    expect(heard).toBe("");
    line.heal();
    await expect.poll(async () => String(await ask(host, port, "PING\r\n"))).toBe("+PONG\r\n");
  },
);
