export type SourceTables = {
  trees: {
    project_id: string;
    digest: string;
    /** gzip of the JSON of the manifest. */
    files: Buffer;
    file_count: number;
    size: number;
    config: string | null;
    created_at: Date;
  };
  uploaded_files: { sha1: string; size: number; uploaded_at: Date };
  /** Contents that we read ourselves. `text` null: asked for, and not sent yet. */
  source_texts: { sha1: string; path: string; text: string | null; size: number; at: Date };
};
