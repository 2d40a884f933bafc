variable "name" {
  description = "What the names of roles, policies, rules and queues begin with."
  type        = string
  default     = "lamplighter"
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,29}$", var.name))
    error_message = "name is \"${var.name}\"; it takes 2 to 30 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "tables" {
  description = "The names of the three tables, as `[tables]` of the configuration has them."
  type = object({
    desired = optional(string, "lamplighter-desired")
    state   = optional(string, "lamplighter-state")
    events  = optional(string, "lamplighter-events")
  })
  default  = {}
  nullable = false
  validation {
    condition     = alltrue([for table in values(var.tables) : can(regex("^[A-Za-z0-9_.-]{3,255}$", table))])
    error_message = "tables has ${join(", ", values(var.tables))}; a name takes 3 to 255 letters, digits, hyphens, underscores and dots."
  }
  validation {
    condition     = length(distinct(values(var.tables))) == 3
    error_message = "tables has ${join(", ", values(var.tables))}; each table has its own writers, so give three different names."
  }
}

variable "projects" {
  description = "The CodeBuild projects that the catalogue names."
  type        = list(string)
  nullable    = false
  validation {
    condition     = length(var.projects) > 0 && alltrue([for project in var.projects : can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{1,149}$", project))])
    error_message = "projects is [${join(", ", var.projects)}]; give at least one name of 2 to 150 letters, digits, hyphens and underscores, beginning with a letter or digit."
  }
}

variable "clusters" {
  description = "The ECS clusters that the catalogue names."
  type        = list(string)
  nullable    = false
  validation {
    condition     = length(var.clusters) > 0 && alltrue([for cluster in var.clusters : can(regex("^[A-Za-z0-9_-]{1,255}$", cluster))])
    error_message = "clusters is [${join(", ", var.clusters)}]; give at least one name, no address, of 1 to 255 letters, digits, hyphens and underscores."
  }
}

variable "build_variables" {
  description = "Names of environment variables that builds may be given besides those that Lamplighter always gives: the parameters of the catalogue, and what `[build_env]` names otherwise. A * at the end stands for anything. Any other is denied to the daemon. Left out: nothing is."
  type        = list(string)
  default     = null
  validation {
    condition     = alltrue([for name in coalesce(var.build_variables, []) : can(regex("^[A-Za-z_][A-Za-z0-9_]*\\*?$", name))])
    error_message = "build_variables is [${join(", ", coalesce(var.build_variables, []))}]; a name takes letters, digits and underscores, begins with no digit, and may end with a *."
  }
}

variable "force_delete" {
  description = "Whether the daemon may delete services that survive their destroys. Set it if `policy.force_delete_after` is above 0."
  type        = bool
  default     = false
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether the tables refuse to be deleted."
  type        = bool
  default     = true
  nullable    = false
}

variable "recovery_days" {
  description = "How many days back the tables can be restored to any second."
  type        = number
  default     = 35
  nullable    = false
  validation {
    condition     = var.recovery_days >= 1 && var.recovery_days <= 35 && floor(var.recovery_days) == var.recovery_days
    error_message = "recovery_days is ${var.recovery_days}; it takes a whole number from 1 to 35."
  }
}

variable "kms_key_arn" {
  description = "The KMS key for tables and logs. Its own policy must let the roles use it through DynamoDB, and CloudWatch Logs of this Region. Left out: keys of AWS."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn is \"${coalesce(var.kms_key_arn, "null")}\"; give the address of a key, arn:aws:kms:REGION:ACCOUNT:key/ID, no alias."
  }
}

variable "log_retention_days" {
  description = "For how many days the daemon's log is kept."
  type        = number
  default     = 365
  nullable    = false
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is ${var.log_retention_days}; CloudWatch Logs takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "events" {
  description = "Whether to make a queue with the events of builds, services and tasks, for tools of yours. The daemon does not read it."
  type        = bool
  default     = false
  nullable    = false
}

variable "portal_principals" {
  description = "Who may take the portal's role: addresses of roles or users, or account numbers. Empty: no role is made, only its policy."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for who in var.portal_principals : can(regex("^([0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:(root|(role|user)/[^*]+))$", who))])
    error_message = "portal_principals is [${join(", ", var.portal_principals)}]; each is arn:aws:iam::ACCOUNT:role/NAME, …:user/NAME, …:root or an account of 12 digits, without a *."
  }
}

variable "operator_principals" {
  description = "Who may take the operators' role, which looks and changes nothing; as for `portal_principals`."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for who in var.operator_principals : can(regex("^([0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:(root|(role|user)/[^*]+))$", who))])
    error_message = "operator_principals is [${join(", ", var.operator_principals)}]; each is arn:aws:iam::ACCOUNT:role/NAME, …:user/NAME, …:root or an account of 12 digits, without a *."
  }
}

variable "kubernetes" {
  description = "The service account on EKS that may take the daemon's role. Left out: none. Its fields are in the README."
  type = object({
    namespace         = string
    service_account   = string
    pod_identity      = optional(bool, false)
    cluster_arn       = optional(string)
    oidc_provider_arn = optional(string)
  })
  default = null
  validation {
    condition     = var.kubernetes == null || try(var.kubernetes.pod_identity != (var.kubernetes.oidc_provider_arn != null), false)
    error_message = "kubernetes has pod_identity = ${try(tostring(var.kubernetes.pod_identity), "null")} and oidc_provider_arn = ${coalesce(try(var.kubernetes.oidc_provider_arn, null), "null")}; give one of the two: pod_identity = true for EKS Pod Identity, or the provider's address for IAM roles for service accounts."
  }
  validation {
    condition     = try(var.kubernetes.oidc_provider_arn, null) == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/[^*]+$", var.kubernetes.oidc_provider_arn))
    error_message = "kubernetes.oidc_provider_arn is \"${coalesce(try(var.kubernetes.oidc_provider_arn, null), "null")}\"; give arn:aws:iam::ACCOUNT:oidc-provider/ISSUER."
  }
  validation {
    condition     = try(var.kubernetes.cluster_arn, null) == null || can(regex("^arn:aws[a-z-]*:eks:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", var.kubernetes.cluster_arn))
    error_message = "kubernetes.cluster_arn is \"${coalesce(try(var.kubernetes.cluster_arn, null), "null")}\"; give arn:aws:eks:REGION:ACCOUNT:cluster/NAME, without a *."
  }
  validation {
    condition     = try(var.kubernetes.cluster_arn, null) == null || try(var.kubernetes.pod_identity, false)
    error_message = "kubernetes.cluster_arn is \"${coalesce(try(var.kubernetes.cluster_arn, null), "null")}\", and pod_identity is not true; an OIDC provider is that of one cluster already, so leave cluster_arn out."
  }
  validation {
    condition     = var.kubernetes == null || alltrue([for name in try([var.kubernetes.namespace, var.kubernetes.service_account], []) : can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", name))])
    error_message = "kubernetes has the namespace \"${try(var.kubernetes.namespace, "")}\" and the service account \"${try(var.kubernetes.service_account, "")}\"; give their exact names, without a *."
  }
}

variable "service" {
  description = "The daemon as a Fargate service. Left out: it runs elsewhere. Its fields are in the README."
  type = object({
    cluster                  = string
    vpc_id                   = string
    subnet_ids               = list(string)
    image                    = string
    config                   = string
    config_image             = optional(string, "public.ecr.aws/docker/library/busybox:1.37")
    repository_arns          = optional(list(string), [])
    replicas                 = optional(number, 2)
    cpu                      = optional(number, 256)
    memory                   = optional(number, 512)
    architecture             = optional(string, "X86_64")
    stop_timeout             = optional(number, 60)
    secrets                  = optional(map(string), {})
    target_group_arn         = optional(string)
    api_security_group_ids   = optional(list(string), [])
    admin_security_group_ids = optional(list(string), [])
    egress_ports             = optional(list(number), [])
  })
  default = null
  validation {
    condition     = var.service == null || try(length(var.service.subnet_ids), 1) > 0
    error_message = "service.subnet_ids is empty; give at least one subnet that reaches AWS."
  }
  validation {
    condition     = var.service == null || can(regex("^[^:@]+(:[0-9]+/[^:@]+)?(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|(:[^:@/]+)?@sha256:[0-9a-f]{64})$", try(var.service.image, ""))) && !endswith(try(var.service.image, ""), ":latest")
    error_message = "service.image is \"${try(var.service.image, "")}\"; give it with a version or digest, not :latest, which changes under a running service."
  }
  validation {
    condition     = var.service == null || try(length(regexall("(?m)^\\s*\\[apps\\.", var.service.config)) > 0, false)
    error_message = "service.config has no table [apps.…]; give the text of the configuration, for example file(\"lamplighter.toml\")."
  }
  validation {
    # The daemon listens on loopback until it is told otherwise, and there neither load balancer nor group reaches it.
    condition = (
      try(var.service.target_group_arn, null) == null && try(length(var.service.api_security_group_ids), 0) == 0
      || can(regex("(?m)^[^#\n]*\\bpublic_addr\\s*=\\s*[\"'](0\\.0\\.0\\.0|\\[::\\]):8080[\"']", var.service.config))
    )
    error_message = "service.config has ${try(regex("(?m)^[^#\n]*\\b(public_addr\\s*=[^\n#]*)", var.service.config)[0], "no public_addr, so that the API listens on loopback only")}, and service.target_group_arn or service.api_security_group_ids lets others connect to it; set public_addr = \"0.0.0.0:8080\" in [api], with a token, or leave those two out."
  }
  validation {
    condition     = var.service == null || alltrue([for port in try(var.service.egress_ports, []) : try(port >= 1 && port <= 65535 && floor(port) == port, false)])
    error_message = "service.egress_ports is [${join(", ", try(var.service.egress_ports, []))}]; each is a whole number from 1 to 65535."
  }
  validation {
    # AWS: a task definition takes 64 KiB in all.
    condition     = var.service == null || try(length(var.service.config), 0) <= 49152
    error_message = "service.config has ${try(length(var.service.config), 0)} characters; a task definition has room for 49152."
  }
  validation {
    condition     = var.service == null || contains(range(1, 11), try(var.service.replicas, 1))
    error_message = "service.replicas is ${try(var.service.replicas, "")}; it takes a whole number from 1 to 10."
  }
  validation {
    condition     = var.service == null || contains(["X86_64", "ARM64"], try(var.service.architecture, "X86_64"))
    error_message = "service.architecture is \"${try(var.service.architecture, "")}\"; it takes X86_64 or ARM64."
  }
  validation {
    # The pairs that Fargate sells, as far as one daemon could need them.
    condition     = var.service == null || contains(["256/512", "256/1024", "256/2048", "512/1024", "512/2048", "512/4096", "1024/2048", "1024/4096", "1024/8192"], try("${var.service.cpu}/${var.service.memory}", ""))
    error_message = "service.cpu and service.memory are ${try("${var.service.cpu} and ${var.service.memory}", "")}; Fargate takes 256 with 512, 1024 or 2048, 512 with 1024, 2048 or 4096, 1024 with 2048, 4096 or 8192."
  }
  validation {
    condition     = var.service == null || try(var.service.stop_timeout >= 30 && var.service.stop_timeout <= 120, false)
    error_message = "service.stop_timeout is ${try(var.service.stop_timeout, "")}; it takes 30 to 120 seconds, more than daemon.shutdown_grace of the configuration."
  }
  validation {
    condition     = var.service == null || alltrue([for arn in try(values(var.service.secrets), []) : can(regex("^arn:aws[a-z-]*:(secretsmanager|ssm):", arn))])
    error_message = "service.secrets of ${join(", ", try(keys(var.service.secrets), []))} must be addresses of Secrets Manager or Parameter Store, never the secrets themselves: Terraform would keep them in its state."
  }
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
  nullable    = false
  validation {
    # A service that carries these counts as an app, and an app that no row asks for as an orphan.
    condition     = length([for key in keys(var.tags) : key if startswith(key, "lamplighter:")]) == 0
    error_message = "tags has ${join(", ", keys(var.tags))}; keys that begin with lamplighter: mark apps, so give others."
  }
}
