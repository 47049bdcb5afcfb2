export type ProjectTables = {
  projects: {
    id: string;
    name: string;
    git_url: string | null;
    target_project_id: string | null;
    created_at: Date;
  };
};
