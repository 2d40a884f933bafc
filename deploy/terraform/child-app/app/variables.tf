variable "host_name" {
  description = "The app's full host name. From Lamplighter."
  type        = string
  nullable    = false
  validation {
    condition     = length(var.host_name) <= 253 && can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$", var.host_name))
    error_message = "host_name is \"${var.host_name}\"; it takes a lower-case DNS name of at most 253 characters."
  }
}

variable "resource_name" {
  description = "The name of its service and target group. From Lamplighter."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$", var.resource_name))
    error_message = "resource_name is \"${var.resource_name}\"; a target group's name takes 1 to 32 letters, digits and hyphens, and neither begins nor ends with a hyphen."
  }
}

variable "instance_id" {
  description = "The id of its row. From Lamplighter."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,62}$", var.instance_id))
    error_message = "instance_id is \"${var.instance_id}\"; it takes 1 to 63 of a-z, 0-9 and hyphens, and begins with a letter or digit."
  }
}

variable "cluster" {
  description = "The ECS cluster."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.cluster))
    error_message = "cluster is \"${var.cluster}\"; it takes a name, no address, of 1 to 255 letters, digits, hyphens and underscores."
  }
}

variable "task_definition" {
  description = "The task definition that apps share, with its revision."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:task-definition/[A-Za-z0-9_-]+:[0-9]+$", var.task_definition))
    error_message = "task_definition is \"${var.task_definition}\"; give arn:aws:ecs:REGION:ACCOUNT:task-definition/FAMILY:REVISION."
  }
}

variable "container_name" {
  description = "The container of it that takes traffic."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.container_name))
    error_message = "container_name is \"${var.container_name}\"; it takes 1 to 255 letters, digits, hyphens and underscores."
  }
}

variable "container_port" {
  description = "The port it listens on."
  type        = number
  nullable    = false
  validation {
    condition     = var.container_port >= 1 && var.container_port <= 65535 && floor(var.container_port) == var.container_port
    error_message = "container_port is ${var.container_port}; it takes a whole number from 1 to 65535."
  }
}

variable "health_path" {
  description = "Where the load balancer asks whether a task works."
  type        = string
  default     = "/"
  nullable    = false
  validation {
    condition     = startswith(var.health_path, "/")
    error_message = "health_path is \"${var.health_path}\"; it begins with /."
  }
}

variable "vpc_id" {
  description = "The VPC of the load balancer and the tasks."
  type        = string
  nullable    = false
  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id is \"${var.vpc_id}\"; give vpc-…."
  }
}

variable "subnet_ids" {
  description = "The subnets of the tasks."
  type        = list(string)
  nullable    = false
  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids is [${join(", ", var.subnet_ids)}]; give at least one subnet-…."
  }
}

variable "security_group_ids" {
  description = "The security groups of the tasks."
  type        = list(string)
  nullable    = false
  validation {
    condition     = length(var.security_group_ids) > 0 && alltrue([for id in var.security_group_ids : startswith(id, "sg-")])
    error_message = "security_group_ids is [${join(", ", var.security_group_ids)}]; give at least one sg-…."
  }
}

variable "listener_arn" {
  description = "The listener that gets a rule for the host name."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:listener/app/[^/]+/[^/]+/[^/]+$", var.listener_arn))
    error_message = "listener_arn is \"${var.listener_arn}\"; give the address of a listener of an Application Load Balancer, …:listener/app/NAME/ID/ID."
  }
}

variable "dns" {
  description = "The zone in which the host name gets a record, and what it leads to. Left out: no record is made."
  type        = object({ zone_id = string, load_balancer_name = string, load_balancer_zone_id = string })
  default     = null
  validation {
    condition     = var.dns == null || can(regex("^[A-Z0-9]{1,32}$", var.dns.zone_id))
    error_message = "dns.zone_id is \"${try(var.dns.zone_id, "")}\"; give the id of a hosted zone alone, such as Z0123456789ABCDEFGHIJ."
  }
}
