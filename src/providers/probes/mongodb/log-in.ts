import type { LookupFunction } from "node:net";
import type { Document, MongoClientOptions } from "mongodb";
import type { Failure } from "../../../checks/model.ts";
import type { ProbeContext } from "../../../checks/probe-kind.ts";
import { errorCodeOf } from "../../../foundation/errors.ts";
import { guardedLookup } from "../../../foundation/guarded-connect.ts";
import { hostAndPort } from "../connect.ts";
import { timedOut } from "../connection-failure.ts";
import { Ended } from "../conversation.ts";
import type { Endpoint } from "../endpoint.ts";
import { driverFailure, UNAUTHORIZED } from "./refusal.ts";

export type Told = {
  /** Null: the user may not ask for it. */
  readonly server: Document | null;
  readonly set: Document | null;
};

export type LogIn = {
  readonly endpoint: Endpoint;
  readonly username: string;
  readonly password: string;
  readonly isInSet: boolean;
  /** What is left of the attempt. */
  readonly leftMs: number;
};

/** Logs in by the official driver, pings, and asks for what an operator would look at. @throws Ended */
export async function logIn(asked: LogIn, context: ProbeContext): Promise<Told> {
  const { MongoClient } = await import("mongodb");
  const { endpoint, leftMs } = asked;
  const where = hostAndPort(endpoint);
  const client = new MongoClient(`mongodb://${where}`, optionsOf(asked, context));
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  const onAbort = () => ended.reject(context.signal.reason);
  context.signal.addEventListener("abort", onAbort, { once: true });
  if (context.signal.aborted) onAbort();
  const admin = client.db("admin");
  const ask = (command: Document) => Promise.race([admin.command(command), ended.promise]);
  const askIfAllowed = (command: Document) =>
    ask(command).catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === UNAUTHORIZED) return null;
      throw error;
    });
  try {
    // The driver never looks up a literal, so the guard would not see it.
    await Promise.race([guardedLookup(endpoint.host, context.network), ended.promise]);
    await ask({ ping: 1 });
    const server = await askIfAllowed({ serverStatus: 1, ...LEFT_OUT });
    const set = asked.isInSet ? await askIfAllowed({ replSetGetStatus: 1 }) : null;
    return { server, set };
  } catch (error) {
    throw new Ended(failureOf(error, { where, leftMs, isOver: context.signal.aborted }));
  } finally {
    context.signal.removeEventListener("abort", onAbort);
    await client.close(true).catch(() => {});
  }
}

function failureOf(error: unknown, at: { where: string; leftMs: number; isOver: boolean }): Failure {
  const isLate =
    at.isOver || (error instanceof Error && /Timeout/.test(error.name)) || errorCodeOf(error) === "ETIMEDOUT";
  return isLate
    ? timedOut(at.where, at.leftMs, "it says hello, and does not answer a client that logs in")
    : driverFailure(error, at.where);
}

/** Sections of serverStatus that cost something and are not read. */
const LEFT_OUT = { metrics: 0, locks: 0, wiredTiger: 0, tcmalloc: 0, transactions: 0 };

/** Each by its own name: a URL's options could name files, proxies and other hosts. */
function optionsOf(
  { endpoint, username, password, leftMs }: LogIn,
  context: ProbeContext,
): MongoClientOptions {
  const { tls, query, path } = endpoint;
  const left = Math.max(1, Math.ceil(leftMs));
  return {
    // The hosts that a set names are never followed.
    directConnection: true,
    auth: { username, password },
    authSource: query.get("authSource") ?? (path || "admin"),
    appName: "signalbox",
    maxPoolSize: 1,
    serverMonitoringMode: "poll",
    serverSelectionTimeoutMS: left,
    connectTimeoutMS: left,
    socketTimeoutMS: left,
    retryReads: false,
    lookup: lookupWithin(context),
    tls: tls !== null,
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls?.servername === undefined ? {} : { servername: tls.servername }),
    ...(tls?.insecure ? { tlsAllowInvalidCertificates: true, tlsAllowInvalidHostnames: true } : {}),
  };
}

function lookupWithin({ network }: ProbeContext): LookupFunction {
  return (host, { all }, callback) => {
    guardedLookup(host, network).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
        if (all) callback(null, found);
        else callback(null, found[0]?.address ?? "", found[0]?.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ""),
    );
  };
}
