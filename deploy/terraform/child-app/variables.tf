variable "name" {
  description = "The name of the CodeBuild project, and what other names begin with: the `project` of a catalogue entry."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,29}$", var.name))
    error_message = "name is \"${var.name}\"; it takes 2 to 30 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "cluster" {
  description = "The name of the ECS cluster: the `cluster` of the catalogue entry."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.cluster))
    error_message = "cluster is \"${var.cluster}\"; it takes a name, no address, of 1 to 255 letters, digits, hyphens and underscores."
  }
}

variable "state_table_arn" {
  description = "The address of Lamplighter's state table, where the gates are."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]{3,255}$", var.state_table_arn))
    error_message = "state_table_arn is \"${var.state_table_arn}\"; give arn:aws:dynamodb:REGION:ACCOUNT:table/NAME, the output table_arns.state of the module lamplighter."
  }
}

variable "network" {
  description = "Where tasks run: a VPC and subnets of it that reach the image and CloudWatch Logs."
  type        = object({ vpc_id = string, subnet_ids = list(string) })
  nullable    = false
  validation {
    condition     = startswith(var.network.vpc_id, "vpc-") && length(var.network.subnet_ids) > 0 && alltrue([for id in var.network.subnet_ids : startswith(id, "subnet-")])
    error_message = "network has the VPC \"${var.network.vpc_id}\" and the subnets [${join(", ", var.network.subnet_ids)}]; give vpc-… and at least one subnet-…."
  }
}

variable "load_balancer" {
  description = "The Application Load Balancer that all apps share: its HTTPS listener, its security group, and its name and zone in DNS. AWS: 100 rules on a listener unless raised, so as many apps."
  type = object({
    listener_arn      = string
    security_group_id = string
    dns_name          = string
    zone_id           = string
  })
  nullable = false
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:listener/app/[^/]+/[^/]+/[^/]+$", var.load_balancer.listener_arn))
    error_message = "load_balancer.listener_arn is \"${var.load_balancer.listener_arn}\"; give the address of a listener of an Application Load Balancer, …:listener/app/NAME/ID/ID."
  }
  validation {
    condition     = startswith(var.load_balancer.security_group_id, "sg-")
    error_message = "load_balancer.security_group_id is \"${var.load_balancer.security_group_id}\"; give sg-…, from which tasks take traffic."
  }
}

variable "dns" {
  description = "The Route 53 zone in which each app gets a record, and the catalogue entry's domain. Left out: you have a record for all names below the domain."
  type        = object({ zone_id = string, domain = string })
  default     = null
  validation {
    condition     = var.dns == null || can(regex("^[A-Z0-9]{1,32}$", var.dns.zone_id))
    error_message = "dns.zone_id is \"${try(var.dns.zone_id, "")}\"; give the id of a hosted zone alone, such as Z0123456789ABCDEFGHIJ."
  }
  validation {
    condition     = var.dns == null || can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$", var.dns.domain))
    error_message = "dns.domain is \"${try(var.dns.domain, "")}\"; give a lower-case DNS name without a dot at its end, such as apps.example.com."
  }
}

variable "container" {
  description = "What an app runs. Its fields are in the README."
  type = object({
    image           = string
    port            = number
    name            = optional(string, "web")
    cpu             = optional(number, 256)
    memory          = optional(number, 512)
    health_path     = optional(string, "/")
    environment     = optional(map(string), {})
    read_only       = optional(bool, true)
    repository_arns = optional(list(string), [])
  })
  nullable = false
  validation {
    condition     = can(regex("^[^:@]+(:[0-9]+/[^:@]+)?(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|(:[^:@/]+)?@sha256:[0-9a-f]{64})$", var.container.image)) && !endswith(var.container.image, ":latest")
    error_message = "container.image is \"${var.container.image}\"; give it with a version or digest, not :latest, since apps of one day should be the same."
  }
  validation {
    condition     = var.container.port >= 1 && var.container.port <= 65535 && floor(var.container.port) == var.container.port
    error_message = "container.port is ${var.container.port}; it takes a whole number from 1 to 65535."
  }
  validation {
    condition     = startswith(var.container.health_path, "/")
    error_message = "container.health_path is \"${var.container.health_path}\"; it begins with /, as health_path of the catalogue entry does."
  }
  validation {
    condition     = contains(["256/512", "256/1024", "256/2048", "512/1024", "512/2048", "512/3072", "512/4096", "1024/2048", "1024/3072", "1024/4096", "1024/8192", "2048/4096", "2048/8192", "2048/16384", "4096/8192", "4096/16384", "4096/30720"], "${var.container.cpu}/${var.container.memory}")
    error_message = "container.cpu and container.memory are ${var.container.cpu} and ${var.container.memory}; Fargate takes 256 with 512 to 2048, 512 with 1024 to 4096, 1024 with 2048 to 8192, 2048 with 4096 to 16384, 4096 with 8192 to 30720."
  }
}

variable "module_dir" {
  description = "The folder of a Terraform module of yours that builds apply to each app. Left out: `app`, beside this one."
  type        = string
  default     = null
  validation {
    condition     = var.module_dir == null || try(length(fileset(var.module_dir, "*.tf")) > 0, false)
    error_message = "module_dir is \"${coalesce(var.module_dir, "null")}\", where no file *.tf is; give the folder of a module."
  }
}

variable "terraform" {
  description = "Terraform's zip for Linux as an object of S3, and its digest. Left out: the build's image has `terraform`, which the standard ones have not."
  type        = object({ zip = string, sha256 = string })
  default     = null
  validation {
    condition     = var.terraform == null || can(regex("^s3://[a-z0-9.-]+/.+\\.zip$", var.terraform.zip))
    error_message = "terraform.zip is \"${try(var.terraform.zip, "")}\"; give s3://BUCKET/terraform_VERSION_linux_ARCH.zip."
  }
  validation {
    condition     = var.terraform == null || can(regex("^[0-9a-f]{64}$", var.terraform.sha256))
    error_message = "terraform.sha256 is \"${try(var.terraform.sha256, "")}\"; give the SHA-256 of that file in 64 hexadecimal digits."
  }
}

variable "build" {
  description = "On what builds run: `type`, `compute_type` and `image` of CodeBuild."
  type = object({
    type         = optional(string, "LINUX_CONTAINER")
    compute_type = optional(string, "BUILD_GENERAL1_SMALL")
    image        = optional(string, "aws/codebuild/amazonlinux-x86_64-standard:5.0")
  })
  default  = {}
  nullable = false
  validation {
    condition     = contains(["LINUX_CONTAINER", "ARM_CONTAINER"], var.build.type)
    error_message = "build.type is \"${var.build.type}\"; it takes LINUX_CONTAINER or ARM_CONTAINER: the gate needs sh, and the script bash."
  }
  validation {
    condition     = can(regex("^BUILD_GENERAL1_(SMALL|MEDIUM|LARGE|XLARGE|2XLARGE)$", var.build.compute_type))
    error_message = "build.compute_type is \"${var.build.compute_type}\"; it takes BUILD_GENERAL1_SMALL, _MEDIUM, _LARGE, _XLARGE or _2XLARGE."
  }
}

variable "bucket" {
  description = "The name of the bucket of states. Left out: name, account and Region."
  type        = string
  default     = null
  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is \"${coalesce(var.bucket, "null")}\"; it takes 3 to 63 lower-case letters, digits, dots and hyphens."
  }
}

variable "state_version_days" {
  description = "For how many days versions of a state that were replaced or deleted are kept."
  type        = number
  default     = 90
  nullable    = false
  validation {
    condition     = var.state_version_days >= 1 && var.state_version_days <= 3650 && floor(var.state_version_days) == var.state_version_days
    error_message = "state_version_days is ${var.state_version_days}; it takes a whole number from 1 to 3650."
  }
}

variable "lock_wait_secs" {
  description = "For how many seconds a build waits for the lock of its state."
  type        = number
  default     = 90
  nullable    = false
  validation {
    # CodeBuild may let a stopped container live on for up to a minute.
    condition     = var.lock_wait_secs > 60 && var.lock_wait_secs <= 600 && floor(var.lock_wait_secs) == var.lock_wait_secs
    error_message = "lock_wait_secs is ${var.lock_wait_secs}; it takes a whole number from 61 to 600, longer than a stopped build lives on."
  }
}

variable "kms_key_arn" {
  description = "The KMS key for bucket, builds and logs. Its own policy must let CloudWatch Logs of this Region use it. Left out: keys of AWS."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn is \"${coalesce(var.kms_key_arn, "null")}\"; give the address of a key, arn:aws:kms:REGION:ACCOUNT:key/ID, no alias."
  }
}

variable "log_retention_days" {
  description = "For how many days logs of builds and apps are kept."
  type        = number
  default     = 365
  nullable    = false
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is ${var.log_retention_days}; CloudWatch Logs takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "tags" {
  description = "Tags of everything that is made here. Apps have their own."
  type        = map(string)
  default     = {}
  nullable    = false
  validation {
    condition     = length([for key in keys(var.tags) : key if startswith(key, "lamplighter:")]) == 0
    error_message = "tags has ${join(", ", keys(var.tags))}; keys that begin with lamplighter: mark apps, so give others."
  }
}
