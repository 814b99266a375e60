"""Documents that people read: pages, charts, pictures of flow, in English and German; knows no job and no record."""
