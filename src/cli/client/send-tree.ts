import type { Tree, TreeFile } from "../tree/tree.ts";
import type { Api } from "./api.ts";

export type SentTree = {
  /** The tree's id, for the trigger. */
  readonly tree: string;
  readonly sentFiles: number;
  readonly sentBytes: number;
};

// Small files cost a round trip each; more than this fills no link further, and spares the server.
const PARALLEL_UPLOADS = 12;
const ATTEMPTS = 6;

/**
 * Makes the control plane hold every file of the tree: tells it the digests, and sends the contents that it
 * misses, each once. Interrupted, it goes on where it was when run again.
 */
export async function sendTree(options: {
  api: Api;
  project: string;
  tree: Tree;
  signal: AbortSignal;
  onProgress: (sentBytes: number, totalBytes: number, files: number) => void;
}): Promise<SentTree> {
  const { api, tree, signal } = options;
  const answer = await api.post<{ tree: string; missing: string[] }>(
    "/api/sources/trees",
    {
      project: options.project,
      files: tree.files,
      ...(tree.config === null ? {} : { config: tree.config }),
    },
    { signal, attempts: ATTEMPTS },
  );
  const missing = filesOf(tree, new Set(answer.missing));
  const totalBytes = missing.reduce((sum, file) => sum + file.size, 0);
  let sentBytes = 0;
  const queue = missing.values();
  const stop = new AbortController();
  const abort = AbortSignal.any([signal, stop.signal]);
  // Every worker takes from the same iterator, so no file is sent twice.
  const work = async () => {
    for (const file of queue) {
      abort.throwIfAborted();
      await sendFile(api, tree, file, abort);
      sentBytes += file.size;
      options.onProgress(sentBytes, totalBytes, missing.length);
    }
  };
  const workers = Array.from({ length: Math.min(PARALLEL_UPLOADS, missing.length) }, work);
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
  return { tree: answer.tree, sentFiles: missing.length, sentBytes };
}

async function sendFile(api: Api, tree: Tree, file: TreeFile, signal: AbortSignal): Promise<void> {
  let failed: Error | null = null;
  const open = () => {
    const content = tree.open(file);
    content.on("error", (error) => {
      if (error.name === "AppError") failed = error;
    });
    return content;
  };
  try {
    await api.put(
      `/api/sources/files/${file.sha1}`,
      { size: file.size, open },
      { signal, attempts: ATTEMPTS },
    );
  } catch (error) {
    // A file that changed under our hands breaks the request; the file is what the user must hear of.
    throw failed ?? error;
  }
}

/** One file for each digest that is missing: equal contents are sent once. */
function filesOf(tree: Tree, missing: Set<string>): TreeFile[] {
  return tree.files.filter((file) => missing.delete(file.sha1));
}
