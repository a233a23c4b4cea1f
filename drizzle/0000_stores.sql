CREATE TABLE "projects" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	"rev" integer NOT NULL,
	"deleted_at" timestamp (3) with time zone,
	"name" text NOT NULL,
	"path" text NOT NULL,
	"pinned" boolean DEFAULT false NOT NULL,
	"archived" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE "terminal_sessions" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	"rev" integer NOT NULL,
	"deleted_at" timestamp (3) with time zone,
	"project_id" text NOT NULL,
	"type" text NOT NULL,
	"tab_name" text NOT NULL,
	"active" boolean DEFAULT true NOT NULL,
	"output" jsonb,
	"path" text NOT NULL,
	"current_path" text,
	"pid" integer,
	"position" double precision NOT NULL,
	"pinned" boolean DEFAULT false NOT NULL,
	"node_id" text,
	"host_id" text,
	"epoch" integer NOT NULL,
	"opening_at" timestamp (3) with time zone NOT NULL,
	"ended_at" timestamp (3) with time zone,
	"metadata" jsonb DEFAULT '{}'::jsonb NOT NULL,
	CONSTRAINT "terminal_sessions_type" CHECK ("terminal_sessions"."type" in ('system', 'claude')),
	CONSTRAINT "terminal_sessions_active" CHECK ("terminal_sessions"."active" = ("terminal_sessions"."ended_at" is null and "terminal_sessions"."deleted_at" is null)),
	CONSTRAINT "terminal_sessions_placement" CHECK (("terminal_sessions"."node_id" is null) = ("terminal_sessions"."host_id" is null))
);
--> statement-breakpoint
CREATE INDEX "projects_user_id" ON "projects" USING btree ("user_id","id");--> statement-breakpoint
CREATE INDEX "projects_deleted_at" ON "projects" USING btree ("deleted_at") WHERE "projects"."deleted_at" is not null;--> statement-breakpoint
CREATE INDEX "terminal_sessions_project_id" ON "terminal_sessions" USING btree ("project_id","id");--> statement-breakpoint
CREATE INDEX "terminal_sessions_user_id" ON "terminal_sessions" USING btree ("user_id","id");--> statement-breakpoint
CREATE INDEX "terminal_sessions_active" ON "terminal_sessions" USING btree ("active");--> statement-breakpoint
CREATE INDEX "terminal_sessions_deleted_at" ON "terminal_sessions" USING btree ("deleted_at") WHERE "terminal_sessions"."deleted_at" is not null;