import { Readable } from "node:stream";
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { bodyLimit } from "hono/body-limit";
import type { ActorEnv } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { createRouter } from "../foundation/http.ts";
import { type CreateTreeDeps, createTree } from "./create-tree.ts";
import { type UploadFileDeps, uploadFile } from "./upload-file.ts";

/** 50,000 files with long paths. */
const MAX_LIST_BYTES = 32 * 2 ** 20;

const createTreeRoute = createRoute({
  method: "post",
  path: "/sources/trees",
  summary: "Announce a tree of files; the answer lists the contents still to be sent",
  request: {
    body: {
      required: true,
      content: {
        "application/json": {
          schema: z.object({
            project: z.string(),
            // Checked by `checkManifest`, which is quicker on 50,000 entries and stops after 20 problems.
            files: z.array(z.unknown()).openapi({
              description:
                "Objects {path, sha1, size, mode}: SHA-1 of the content, bytes, and the mode as git's.",
            }),
            config: z.string().optional().openapi({ description: "Text of the tree's signalbox.yaml" }),
          }),
        },
      },
    },
  },
  responses: {
    200: {
      description: "The tree's digest, and the digests of the contents still to be sent",
      content: {
        "application/json": { schema: z.object({ tree: z.string(), missing: z.array(z.string()) }) },
      },
    },
  },
});

const uploadFileRoute = createRoute({
  method: "put",
  path: "/sources/files/{sha1}",
  summary: "Send one file's content",
  request: {
    params: z.object({ sha1: z.string().regex(/^[0-9a-f]{40}$/, { error: "is no lower-case SHA-1" }) }),
    headers: z.object({ "content-length": z.coerce.number().int().nonnegative() }),
  },
  responses: { 204: { description: "The target has it" } },
});

/** `/sources…`; mount under `/api`, behind `authenticate`. */
export function sourceRoutes(deps: CreateTreeDeps & UploadFileDeps): OpenAPIHono<ActorEnv> {
  const router = createRouter<ActorEnv>();
  const limit = bodyLimit({
    maxSize: MAX_LIST_BYTES,
    onError: () => {
      throw new AppError("too_large", `The list is larger than ${MAX_LIST_BYTES} bytes.`, {
        hint: "Leave out what a build makes anew: add it to .gitignore or .vercelignore.",
      });
    },
  });
  router.use("/sources/trees", limit);
  router.openapi(createTreeRoute, async (c) =>
    c.json(await createTree(deps, c.get("actor"), c.req.valid("json")), 200),
  );
  router.openapi(uploadFileRoute, async (c) => {
    const stream = c.req.raw.body;
    const body =
      stream === null
        ? Readable.from([])
        : Readable.fromWeb(stream as import("node:stream/web").ReadableStream);
    const size = c.req.valid("header")["content-length"];
    await uploadFile(deps, c.get("actor"), { ...c.req.valid("param"), size, body }, c.req.raw.signal);
    return c.body(null, 204);
  });
  return router;
}
