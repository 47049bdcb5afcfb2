import { readFile } from "node:fs/promises";
import { Hono } from "hono";
import { AppError } from "../../foundation/errors.ts";
import { contentTypeOf } from "../build/content-type.ts";
import { getDeployment } from "../deployments/queries.ts";
import { loadTree } from "../deployments/tree.ts";
import type { Dock } from "../dock.ts";
import type { TreeFile } from "../store/store.ts";

type Entry = {
  name: string;
  type: "directory" | "file" | "symlink";
  mode: number;
  uid?: string;
  contentType?: string;
  children?: Entry[];
};

const DIRECTORY = 0o40755;

/** The source files that a deployment was made of. */
export function deploymentFileRoutes(dock: Dock): Hono {
  const app = new Hono();

  app.get("/deployments/:id/files", async (c) => {
    const { tree } = await getDeployment(dock, c.req.param("id"));
    return c.json(nested(await loadTree(dock.db, tree)));
  });

  // `fileId` is the digest. What is not a file of this deployment is not there, whatever else the store holds.
  app.get("/deployments/:id/files/:file", async (c) => {
    const { id, tree } = await getDeployment(dock, c.req.param("id"));
    const asked = c.req.param("file");
    const file = (await loadTree(dock.db, tree)).find((one) => one.sha1 === asked);
    if (!file) throw new AppError("not_found", `The deployment ${id} has no file "${asked.slice(0, 100)}".`);
    const bytes = await readFile(dock.store.path(file.sha1));
    return c.json({ data: bytes.toString("base64") });
  });

  return app;
}

/** Pure. */
export function nested(files: readonly TreeFile[]): Entry[] {
  const root: Entry[] = [];
  const directories = new Map<string, Entry[]>([["", root]]);
  const childrenOf = (path: string): Entry[] => {
    const known = directories.get(path);
    if (known) return known;
    const at = path.lastIndexOf("/");
    const children: Entry[] = [];
    directories.set(path, children);
    childrenOf(at === -1 ? "" : path.slice(0, at)).push({
      name: path.slice(at + 1),
      type: "directory",
      mode: DIRECTORY,
      children,
    });
    return children;
  };
  for (const file of files) {
    const at = file.path.lastIndexOf("/");
    const isLink = (file.mode & 0o170000) === 0o120000;
    childrenOf(at === -1 ? "" : file.path.slice(0, at)).push({
      name: file.path.slice(at + 1),
      type: isLink ? "symlink" : "file",
      mode: file.mode,
      uid: file.sha1,
      ...(isLink ? {} : { contentType: contentTypeOf(file.path) }),
    });
  }
  return root;
}
