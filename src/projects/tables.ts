export type ProjectTables = {
  projects: {
    id: string;
    name: string;
    git_url: string | null;
    target_project_id: string | null;
    created_at: Date;
  };
  /** Names at the target: of a project, and of each of its services. Whoever has one keeps it. */
  target_projects: { name: string; project_id: string };
};
