#!/bin/sh
# Run by the PostgreSQL image when its volume is new: a role and a database each for Prefect's server and the pipeline.
set -eu

make_database() {
    psql --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
        --set=ON_ERROR_STOP=1 --set=name="$1" <<SQL
\\getenv password $2
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

make_database prefect PREFECT_DATABASE_PASSWORD
make_database enrichment WAREHOUSE_PASSWORD
