/**
 * An app with `@nestjs/terminus`: `PORT_OF_DEPENDENCIES`. Says its port on its IPC channel. Decorators are called as
 * the functions that they are, for Node does not run their syntax.
 */
import "reflect-metadata";
import type { AddressInfo } from "node:net";
import { Controller, Get, Inject, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { HealthCheckService, HealthIndicatorService, TerminusModule } from "@nestjs/terminus";
import { askDependency, DEPENDENCIES } from "./dependency-checks.ts";

const port = Number(process.argv[2]);

class HealthController {
  health: HealthCheckService;
  indicators: HealthIndicatorService;
  constructor(health: HealthCheckService, indicators: HealthIndicatorService) {
    this.health = health;
    this.indicators = indicators;
  }
  check() {
    return this.health.check(DEPENDENCIES.map((name) => () => this.indicate(name)));
  }
  private async indicate(name: string) {
    const indicator = this.indicators.check(name);
    try {
      await askDependency(port, name);
      return indicator.up();
    } catch (error) {
      return indicator.down({ message: String(error) });
    }
  }
}
Controller("health")(HealthController);
Inject(HealthCheckService)(HealthController, undefined, 0);
Inject(HealthIndicatorService)(HealthController, undefined, 1);
const check = Object.getOwnPropertyDescriptor(HealthController.prototype, "check");
Get()(HealthController.prototype, "check", check as PropertyDescriptor);

class AppModule {}
Module({ imports: [TerminusModule.forRoot({ logger: false })], controllers: [HealthController] })(AppModule);

const app = await NestFactory.create(AppModule, { logger: false });
await app.listen(0, "127.0.0.1");
process.send?.((app.getHttpServer().address() as AddressInfo).port);
