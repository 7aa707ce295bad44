/** Version 2: a snapshot's limit in inodes, beside the one in bytes. */
export const limitsSchema = `
ALTER TABLE snapshots ADD COLUMN limit_inodes INTEGER;
`;
